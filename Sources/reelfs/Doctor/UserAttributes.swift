import Glibc

// The Glibc module leaves out <sys/xattr.h>, and a C module that includes it with _GNU_SOURCE defines fd_set otherwise
// than Glibc does, so both cannot be imported here. The symbol itself is in every glibc.
@_silgen_name("setxattr")
private func setxattr(
  _ path: UnsafePointer<CChar>, _ name: UnsafePointer<CChar>, _ value: UnsafeRawPointer?, _ size: Int, _ flags: Int32
) -> Int32

enum UserAttributes {
  /// Sets an attribute on `path`.
  /// - Returns: 0, or errno.
  static func set(_ name: String, _ value: [UInt8], on path: String) -> Int32 {
    value.withUnsafeBytes { setxattr(path, name, $0.baseAddress, $0.count, 0) } == 0 ? 0 : errno
  }
}

internal import CLinux
internal import Glibc
public import SystemPackage

// Calls on open files of the backing tree.
extension Backing {
  public static func truncate(_ file: FileDescriptor, to size: Int64) throws(SpoolError) {
    try call("truncate") { ftruncate(file.rawValue, Int(size)) }
  }

  public static func synchronize(_ file: FileDescriptor, dataOnly: Bool) throws(SpoolError) {
    try call("fsync") { dataOnly ? fdatasync(file.rawValue) : fsync(file.rawValue) }
  }

  /// `mode` as in fallocate(2).
  public static func allocate(_ file: FileDescriptor, mode: Int32, offset: Int64, count: Int64) throws(SpoolError) {
    try call("fallocate") { fallocate(file.rawValue, mode, Int(offset), Int(count)) }
  }

  /// `whence`: SEEK_DATA or SEEK_HOLE.
  public static func seek(_ file: FileDescriptor, offset: Int64, whence: Int32) throws(SpoolError) -> Int64 {
    try Int64(call("lseek") { lseek(file.rawValue, Int(offset), whence) })
  }

  public static func copyRange(
    from source: FileDescriptor, at sourceOffset: Int64, to target: FileDescriptor, at targetOffset: Int64, count: Int
  ) throws(SpoolError) -> Int {
    var (input, output) = (Int(sourceOffset), Int(targetOffset))
    return try call("copy_file_range") {
      copy_file_range(source.rawValue, &input, target.rawValue, &output, count, 0)
    }
  }

  /// Reads up to `count` bytes at `offset` for ourselves; fewer only at the end of the file. The time of access stays: no
  /// program has read.
  public static func read(_ file: FileDescriptor, at offset: Int64, count: Int) throws(SpoolError) -> [UInt8] {
    // Refused for somebody else's file: then its time moves.
    let quiet = Glibc.open("/proc/self/fd/\(file.rawValue)", O_RDONLY | O_NOATIME | O_CLOEXEC)
    defer { if quiet >= 0 { close(quiet) } }
    let source = quiet >= 0 ? quiet : file.rawValue
    var failure: SpoolError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let done = pread(source, buffer.baseAddress! + initialized, count - initialized, Int(offset) + initialized)
        if done > 0 { initialized += done; continue }
        if done == 0 { break }
        let error = Errno(rawValue: Glibc.errno)
        if error == .interrupted { continue }
        failure = .io(error, what: "read")
        break
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Writes all of `bytes` at `offset`.
  public static func write(_ bytes: [UInt8], to file: FileDescriptor, at offset: Int64) throws(SpoolError) {
    var done = 0
    while done < bytes.count {
      done += try call("write") {
        bytes.withUnsafeBytes { pwrite(file.rawValue, $0.baseAddress! + done, bytes.count - done, Int(offset) + done) }
      }
    }
  }
}

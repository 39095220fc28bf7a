internal import CFuse
internal import Glibc
public import SystemPackage

/// The bytes of one WRITE on their way from the kernel: still in the kernel's pipe, or in memory. They can be taken once,
/// within the call that hands them over.
public struct IncomingBytes: ~Copyable {
  /// How many there are.
  public let count: Int
  private let source: Source

  private enum Source {
    case kernel(UnsafeMutablePointer<fuse_bufvec>)
    case memory([UInt8])
  }

  /// For tests of file systems without a mount.
  public init(_ bytes: [UInt8]) {
    self.count = bytes.count
    self.source = .memory(bytes)
  }

  init(_ vector: UnsafeMutablePointer<fuse_bufvec>) {
    self.count = fuse_buf_size(vector)
    self.source = .kernel(vector)
  }

  /// Writes them to `file` at `offset` (from the start of the file), by splice where they still are in the kernel.
  /// - Returns: bytes written; less than `count` only when the disk is full or at a limit.
  public borrowing func copy(to file: FileDescriptor, at offset: Int64) throws(Errno) -> Int {
    switch source {
    case .kernel(let vector):
      var flags = FUSE_BUF_IS_FD.rawValue
      flags |= FUSE_BUF_FD_SEEK.rawValue
      flags |= FUSE_BUF_FD_RETRY.rawValue
      let target = fuse_buf(
        size: count, flags: fuse_buf_flags(rawValue: flags), mem: nil, fd: file.rawValue, pos: off_t(offset))
      return try Self.copy(vector, to: target)
    case .memory(let bytes):
      var done = 0
      while done < bytes.count {
        let written = bytes.withUnsafeBytes {
          pwrite(file.rawValue, $0.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
        }
        if written < 0 {
          let error = errno
          if error == EINTR { continue }
          if done > 0 { break }
          throw Errno(rawValue: error)
        }
        if written == 0 { break }
        done += written
      }
      return done
    }
  }

  /// A copy in memory, for files that are not on a disk.
  public borrowing func bytes() throws(Errno) -> [UInt8] {
    switch source {
    case .memory(let bytes): return bytes
    case .kernel(let vector):
      var failure: Errno?
      let wanted = count
      let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { storage, initialized in
        let target = fuse_buf(
          size: wanted, flags: fuse_buf_flags(rawValue: 0), mem: storage.baseAddress, fd: -1, pos: 0)
        do throws(Errno) { initialized = try Self.copy(vector, to: target) } catch { failure = error }
      }
      if let failure { throw failure }
      return bytes
    }
  }

  private static func copy(_ source: UnsafeMutablePointer<fuse_bufvec>, to target: fuse_buf) throws(Errno) -> Int {
    var vector = fuse_bufvec(count: 1, idx: 0, off: 0, buf: target)
    let copied = fuse_buf_copy(&vector, source, fuse_buf_copy_flags(rawValue: 0))
    guard copied >= 0 else { throw Errno(rawValue: CInt(-copied)) }
    return copied
  }
}

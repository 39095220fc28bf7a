import Glibc
import NIOCore
import SystemPackage

/// An open regular file, closed when the last reference goes. Calls are positional, so any thread may make them.
final class OpenFile: Sendable {
  let descriptor: CInt

  init(descriptor: CInt) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  func write(_ buffer: ByteBuffer, at offset: Int64) throws(IOFailure) {
    let failure = buffer.withUnsafeReadableBytes { bytes in writeAll(bytes, at: offset) }
    if let failure { throw failure }
  }

  func write(_ bytes: [UInt8], at offset: Int64) throws(IOFailure) {
    let failure = bytes.withUnsafeBytes { bytes in writeAll(bytes, at: offset) }
    if let failure { throw failure }
  }

  /// Fills `buffer` from `offset`, at most `count` bytes; fewer only at the end of the file.
  func read(into buffer: inout ByteBuffer, count: Int, at offset: Int64) throws(IOFailure) {
    var failure: IOFailure?
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
      var done = 0
      while done < count {
        let got = pread(descriptor, space.baseAddress! + done, count - done, off_t(offset) + off_t(done))
        if got < 0 && errno == EINTR { continue }
        if got < 0 { failure = IOFailure.last("read a file") }
        if got <= 0 { break }
        done += got
      }
      return done
    }
    if let failure { throw failure }
  }

  /// Copies `count` bytes within the kernel; a file system that shares blocks copies nothing.
  func copy(_ count: Int64, at offset: Int64, to target: OpenFile, at targetOffset: Int64) throws(IOFailure) {
    var from = off_t(offset)
    var to = off_t(targetOffset)
    var left = count
    while left > 0 {
      let step = Int(min(left, Self.copyStepBytes))
      guard let copyFileRange = Self.copyFileRange else {
        return try copyThroughMemory(left, at: Int64(from), to: target, at: Int64(to))
      }
      let copied = copyFileRange(descriptor, &from, target.descriptor, &to, step, 0)
      if copied < 0 && errno == EINTR { continue }
      if copied < 0 && [EXDEV, ENOSYS, EOPNOTSUPP, EINVAL].contains(errno) {
        return try copyThroughMemory(left, at: Int64(from), to: target, at: Int64(to))
      }
      if copied < 0 { throw IOFailure.last("copy bytes between files") }
      if copied == 0 { throw IOFailure(errno: .ioError, action: "copy bytes between files: the source ended early") }
      left -= Int64(copied)
    }
  }

  /// Makes this file share all blocks of `source`. False when the file system cannot.
  func cloneBlocks(of source: OpenFile) -> Bool {
    ioctl(descriptor, Self.ficlone, source.descriptor) == 0
  }

  func synchronize() throws(IOFailure) {
    while fdatasync(descriptor) != 0 {
      if errno != EINTR { throw IOFailure.last("sync a file") }
    }
  }

  func truncate(to size: Int64) throws(IOFailure) {
    while ftruncate(descriptor, off_t(size)) != 0 {
      if errno != EINTR { throw IOFailure.last("cut a file to its size") }
    }
  }

  func attributes() throws(IOFailure) -> FileAttributes {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw IOFailure.last("look at a file") }
    return FileAttributes(status)
  }

  private func writeAll(_ bytes: UnsafeRawBufferPointer, at offset: Int64) -> IOFailure? {
    var done = 0
    while done < bytes.count {
      let put = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
      if put < 0 && errno == EINTR { continue }
      if put < 0 { return IOFailure.last("write a file") }
      done += put
    }
    return nil
  }

  private func copyThroughMemory(
    _ count: Int64, at offset: Int64, to target: OpenFile, at targetOffset: Int64
  ) throws(IOFailure) {
    var buffer = ByteBuffer()
    var done: Int64 = 0
    while done < count {
      buffer.clear()
      try read(into: &buffer, count: Int(min(count - done, 1 << 20)), at: offset + done)
      if buffer.readableBytes == 0 {
        throw IOFailure(errno: .ioError, action: "copy bytes between files: the source ended early")
      }
      try target.write(buffer, at: targetOffset + done)
      done += Int64(buffer.readableBytes)
    }
  }

  /// One call copies at most this much, so that a stop is noticed between calls on a slow disk.
  private static let copyStepBytes: Int64 = 64 << 20
  private typealias CopyFileRange =
    @convention(c) @Sendable (
      CInt, UnsafeMutablePointer<off_t>?, CInt, UnsafeMutablePointer<off_t>?, Int, CUnsignedInt
    ) -> Int
  /// copy_file_range(2), looked up at run time: the Glibc module declares it only for C's `_GNU_SOURCE`, and a module
  /// of our own with that switch contradicts Dispatch's. nil in a C library without it.
  private static let copyFileRange: CopyFileRange? =
    dlsym(dlopen(nil, RTLD_NOW), "copy_file_range").map { unsafeBitCast($0, to: CopyFileRange.self) }
  /// `_IOW(0x94, 9, int)` of linux/fs.h, a macro that Swift does not import.
  private static let ficlone: UInt = 0x4004_9409
}

/// What the receiver asks about a file.
struct FileAttributes: Equatable, Sendable {
  let device: UInt
  let inode: UInt
  let size: Int64
  let isDirectory: Bool
  let isRegularFile: Bool
  /// Seconds since 1970.
  let modified: Int64

  init(_ status: stat) {
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
    size = Int64(status.st_size)
    isDirectory = status.st_mode & S_IFMT == S_IFDIR
    isRegularFile = status.st_mode & S_IFMT == S_IFREG
    modified = Int64(status.st_mtim.tv_sec)
  }

  func isSameFile(as other: FileAttributes) -> Bool { device == other.device && inode == other.inode }
}

internal import CLinux
internal import Glibc
public import SystemPackage

/// Reads a folder of the backing tree. The cookies are the backing file system's own, so a listing can be resumed by
/// another process.
public struct BackingDirectory: ~Copyable {
  public struct Item: Sendable {
    public let name: [UInt8]
    public let inode: UInt64
    /// S_IFMT bits; 0 when the file system does not say.
    public let type: UInt32
    public let cookie: Int64
  }

  private let descriptor: FileDescriptor
  private var buffer: [UInt8]

  /// - Parameters:
  ///   - isOurs: nobody listed the folder but reelfs itself, so its time of access stays.
  ///   - bufferBytes: of entries that are read at once; at least 280, for one with the longest name.
  public init(
    _ path: [UInt8], in folder: FileDescriptor, isOurs: Bool, bufferBytes: Int = 32_768
  ) throws(SpoolError) {
    buffer = [UInt8](repeating: 0, count: bufferBytes)
    let flags = O_RDONLY | O_DIRECTORY
    do throws(SpoolError) {
      descriptor = try Backing.open(path, in: folder, flags: isOurs ? flags | O_NOATIME : flags)
    } catch .io(.notPermitted, _) where isOurs {
      // Somebody else's folder.
      descriptor = try Backing.open(path, in: folder, flags: flags)
    }
  }

  deinit { try? descriptor.close() }

  /// Moves to the entry after the one with `cookie`; 0: to the start.
  public mutating func seek(to cookie: Int64) throws(SpoolError) {
    try Backing.call("seekdir") { lseek(descriptor.rawValue, Int(cookie), SEEK_SET) }
  }

  /// The next few entries, `.` and `..` included; empty at the end.
  public mutating func next() throws(SpoolError) -> [Item] {
    let count = try Backing.call("getdents") {
      buffer.withUnsafeMutableBytes { clinux_getdents64(descriptor.rawValue, $0.baseAddress, $0.count) }
    }
    var items: [Item] = []
    buffer.withUnsafeBytes { bytes in
      var offset = 0
      // struct linux_dirent64: u64 d_ino, s64 d_off, u16 d_reclen, u8 d_type, name with a NUL (getdents64(2)).
      while offset < count {
        let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
        let name = bytes[(offset + 19)..<(offset + length)].prefix { $0 != 0 }
        items.append(
          Item(
            name: Array(name), inode: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
            type: UInt32(bytes[offset + 18]) << 12,
            cookie: bytes.loadUnaligned(fromByteOffset: offset + 8, as: Int64.self)))
        offset += length
      }
    }
    return items
  }

  public func synchronize() throws(SpoolError) { try Backing.synchronize(descriptor, dataOnly: false) }
}

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

    /// `.` or `..`
    public var isDot: Bool { name.count <= 2 && name.allSatisfy { $0 == UInt8(ascii: ".") } }
  }

  /// As much as libc reads at once.
  private static let bufferBytes = 32_768

  private let descriptor: FileDescriptor
  private var buffer: [UInt8]

  /// - Parameter isOurs: nobody listed the folder but reelfs itself, so its time of access stays.
  public init(_ path: [UInt8], in folder: FileDescriptor, isOurs: Bool) throws(SpoolError) {
    buffer = [UInt8](repeating: 0, count: Self.bufferBytes)
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
  /// - Parameter bytesMax: of them as getdents64(2) gives them; at least an entry with the longest name.
  public mutating func next(bytesMax: Int = .max) throws(SpoolError) -> [Item] {
    let room = min(buffer.count, max(Self.entryBytesMax, bytesMax))
    let count = try Backing.call("getdents") {
      buffer.withUnsafeMutableBytes { clinux_getdents64(descriptor.rawValue, $0.baseAddress, room) }
    }
    var items: [Item] = []
    items.reserveCapacity(count / 32)
    buffer.withUnsafeBytes { bytes in
      var offset = 0
      // struct linux_dirent64: u64 d_ino, s64 d_off, u16 d_reclen, u8 d_type, name with a NUL (getdents64(2)).
      while offset < count {
        let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
        // The NUL is one of the last eight bytes; what follows it is left over from earlier.
        let (start, end) = (offset + 19, offset + length)
        let nul = (max(start, end - 8)..<end).first { bytes[$0] == 0 } ?? end
        items.append(
          Item(
            name: Array(UnsafeRawBufferPointer(rebasing: bytes[start..<nul])),
            inode: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
            type: UInt32(bytes[offset + 18]) << 12,
            cookie: bytes.loadUnaligned(fromByteOffset: offset + 8, as: Int64.self)))
        offset += length
      }
    }
    return items
  }

  /// 19 bytes, a name of NAME_MAX bytes and its NUL, in eights.
  private static let entryBytesMax = 280

  public func synchronize() throws(SpoolError) { try Backing.synchronize(descriptor, dataOnly: false) }
}

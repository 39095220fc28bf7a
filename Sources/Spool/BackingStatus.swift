internal import CLinux

/// What the backing file system says of one node.
public struct BackingStatus: Sendable {
  public let inode: UInt64
  public let mode: UInt32
  public let links: UInt32
  public let userID: UInt32
  public let groupID: UInt32
  public let device: UInt64
  public let size: Int64
  /// Of 512 bytes.
  public let blocks: Int64
  public let blockSize: Int64
  public let accessed: (seconds: Int64, nanoseconds: Int64)
  public let modified: (seconds: Int64, nanoseconds: Int64)
  public let changed: (seconds: Int64, nanoseconds: Int64)
  /// Tells two lives of one inode number apart: the birth time in nanoseconds.
  public let generation: UInt64

  public var isFolder: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFDIR) }
  public var isRegular: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFREG) }

  init(_ raw: statx) {
    inode = raw.stx_ino
    mode = UInt32(raw.stx_mode)
    links = raw.stx_nlink
    userID = raw.stx_uid
    groupID = raw.stx_gid
    device = clinux_makedev(raw.stx_rdev_major, raw.stx_rdev_minor)
    size = Int64(raw.stx_size)
    blocks = Int64(raw.stx_blocks)
    blockSize = Int64(raw.stx_blksize)
    accessed = (raw.stx_atime.tv_sec, Int64(raw.stx_atime.tv_nsec))
    modified = (raw.stx_mtime.tv_sec, Int64(raw.stx_mtime.tv_nsec))
    changed = (raw.stx_ctime.tv_sec, Int64(raw.stx_ctime.tv_nsec))
    generation = UInt64(bitPattern: raw.stx_btime.tv_sec) &* 1_000_000_000 &+ UInt64(raw.stx_btime.tv_nsec)
  }

}

public enum BackingTime: Sendable {
  case now
  case at(seconds: Int64, nanoseconds: Int64)
}

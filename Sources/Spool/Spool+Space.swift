internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// What statfs(2) says of the spool's disk, or of what the quota leaves of it.
public struct SpoolSpace: Sendable {
  public let blockSize: UInt64
  public let blocks: UInt64
  public var blocksFree: UInt64
  public var blocksAvailable: UInt64
  public let files: UInt64
  public let filesFree: UInt64
  public let nameLengthMax: UInt64
}

extension Spool {
  /// What can still be written under the quota, counting stored bytes that would make room: recorders look before they
  /// begin. A worker that has just started does not know yet what is taken: it is waited for.
  public func writableSpace() throws(SpoolError) -> SpoolSpace {
    usage.waitUntilComplete()
    var space = try space()
    let room = max(0, evictor.limit - usage.bytes) + evictor.evictableBytes
    let blocks = UInt64(room) / max(1, space.blockSize)
    space.blocksAvailable = min(space.blocksAvailable + UInt64(evictor.evictableBytes) / max(1, space.blockSize), blocks)
    space.blocksFree = max(space.blocksAvailable, min(space.blocksFree, blocks))
    return space
  }

  /// Chunks whose local bytes were given up since the start.
  public var chunksEvicted: Int64 { evictor.evicted.load(ordering: .relaxed) }

  /// Bytes that recordings may take of the local disk now; nil: not known yet.
  public var bytesMax: Int64? { evictor.limit < .max ? evictor.limit : nil }

  /// The disk itself.
  public func space() throws(SpoolError) -> SpoolSpace {
    var raw = statvfs()
    try Backing.call("statfs") { fstatvfs(tree.root.rawValue, &raw) }
    return SpoolSpace(
      blockSize: UInt64(raw.f_frsize), blocks: UInt64(raw.f_blocks), blocksFree: UInt64(raw.f_bfree),
      blocksAvailable: UInt64(raw.f_bavail), files: UInt64(raw.f_files), filesFree: UInt64(raw.f_ffree),
      nameLengthMax: UInt64(raw.f_namemax))
  }
}

internal import CLinux
internal import Glibc
internal import SystemPackage

/// What statfs(2) says of the spool's disk.
public struct SpoolSpace: Sendable {
  public let blockSize: UInt64
  public let blocks: UInt64
  public let blocksFree: UInt64
  public let blocksAvailable: UInt64
  public let files: UInt64
  public let filesFree: UInt64
  public let nameLengthMax: UInt64
}

extension Spool {
  /// What can be written: recorders look before they begin.
  public func space() throws(SpoolError) -> SpoolSpace {
    var raw = statvfs()
    try Backing.call("statfs") { fstatvfs(tree.root.rawValue, &raw) }
    return SpoolSpace(
      blockSize: UInt64(raw.f_frsize), blocks: UInt64(raw.f_blocks), blocksFree: UInt64(raw.f_bfree),
      blocksAvailable: UInt64(raw.f_bavail), files: UInt64(raw.f_files), filesFree: UInt64(raw.f_ffree),
      nameLengthMax: UInt64(raw.f_namemax))
  }
}

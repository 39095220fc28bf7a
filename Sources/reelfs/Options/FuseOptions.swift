package import SyncStatus

/// What `-o` sets, as mount(8), fstab and other FUSE programs spell it.
package struct FuseOptions: Sendable, Equatable {
  /// Other users may use the mount; permissions are checked by the kernel.
  package var allowsOther = false
  /// The kernel collects small writes (`SessionOptions.writeback`).
  package var collectsWrites = false
  /// `nosuid`, `nodev`, `noexec`, `noatime`: handed to the kernel as they are, in the order given.
  package var kernelFlags: [String] = []

  package init() {}

  /// Adds `allow_other,nodev,…`. What fstab needs for itself (`_netdev`, `nofail`, `x-…`) is accepted and left out.
  package mutating func add(_ list: String) throws(TextError) {
    for option in list.split(separator: ",").map(String.init) {
      switch option {
      case "allow_other": allowsOther = true
      case "writeback": collectsWrites = true
      case "nosuid", "nodev", "noexec", "noatime":
        if !kernelFlags.contains(option) { kernelFlags.append(option) }
      case "rw", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "defaults", "default_permissions": continue
      case _ where option.hasPrefix("x-") || option.hasPrefix("comment="): continue
      default:
        throw TextError(
          "\"\(option)\" is not a mount option of reelfs; known are allow_other, writeback, nosuid, nodev, noexec, noatime")
      }
    }
  }
}

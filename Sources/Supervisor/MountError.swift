public import SystemPackage

/// Why a folder could not be mounted or unmounted; the description says what to do.
public enum MountError: Error, Equatable, CustomStringConvertible {
  case noDevice
  case deviceForbidden
  case noHelper
  case mountpointMissing(String)
  case notADirectory(String)
  case alreadyMounted(String)
  case staleMount(String, type: String)
  case otherUsersForbidden
  case forbidden(String)
  case busy(String)
  case notMounted(String)
  /// fusermount3 refused, in its words.
  case helper(String)
  case system(Errno, doing: String)

  public var description: String {
    switch self {
    case .noDevice:
      "/dev/fuse is missing: load the kernel module (modprobe fuse), or give the container the device"
    case .deviceForbidden: "/dev/fuse may not be opened: check its permissions (normally rw for everybody)"
    case .noHelper: "fusermount3 was not found: install the package fuse3, or mount as root"
    case .mountpointMissing(let path): "\(path): no such folder; create it first"
    case .notADirectory(let path): "\(path): not a folder"
    case .alreadyMounted(let path): "\(path): reelfs is mounted there already (reelfs unmount \(path))"
    case .staleMount(let path, let type):
      "\(path): a dead mount of another program (\(type)) lies there; detach it first (umount -l \(path))"
    case .otherUsersForbidden:
      "allow_other needs the line user_allow_other in /etc/fuse.conf, or root"
    case .forbidden(let path): "\(path): this user may not mount or unmount there"
    case .busy(let path): "\(path): in use; close the files in it first, or unmount lazily"
    case .notMounted(let path): "\(path): nothing is mounted there"
    case .helper(let words): "fusermount3: \(words)"
    case .system(let error, let action): "\(action): \(error)"
    }
  }
}

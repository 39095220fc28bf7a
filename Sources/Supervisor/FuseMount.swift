internal import CLinux
internal import Glibc
public import SystemPackage

/// One mount of this program: made by mount(2) as root, by fusermount3 otherwise.
public struct FuseMount: Sendable {
  /// `/dev/fuse`, attached to the mount. As long as a process holds it, callers wait instead of failing.
  public let device: FileDescriptor
  /// Absolute, without symbolic links.
  public let path: String

  /// Mounts at `mountpoint`, an existing folder. A dead mount of ours that lies there is detached first.
  /// - Parameter say: is given a sentence for the user about what was done besides.
  public static func mount(
    at mountpoint: String, options: MountOptions, say: (String) -> Void
  ) throws(MountError) -> FuseMount {
    let path = try prepare(mountpoint, options, say: say)
    if geteuid() == 0 {
      do throws(MountError) {
        return FuseMount(device: try mountDirectly(path, options), path: path)
      } catch .forbidden {
        // Root without CAP_SYS_ADMIN, as in a container: the helper may still be allowed to.
        return FuseMount(device: try MountHelper.mount(path, options), path: path)
      }
    }
    return FuseMount(device: try MountHelper.mount(path, options), path: path)
  }

  public enum Unmounting: Sendable {
    /// `.busy` while anything is open in it.
    case ifUnused
    /// At once for new users; those who have files open keep them until they close them.
    case lazily
  }

  /// - Throws: `.busy`, `.notMounted`, `.forbidden`.
  public func unmount(_ how: Unmounting) throws(MountError) { try Self.unmount(path, how) }

  /// `path`: absolute, without symbolic links.
  public static func unmount(_ path: String, _ how: Unmounting) throws(MountError) {
    guard MountTable.read().mount(at: path) != nil else { throw .notMounted(path) }
    let flags = CInt(UMOUNT_NOFOLLOW) | (how == .lazily ? CInt(MNT_DETACH) : 0)
    if umount2(path, flags) == 0 { return }
    switch errno {
    case EBUSY: throw .busy(path)
    case EPERM: try MountHelper.unmount(path, how)
    case EINVAL: throw .notMounted(path)
    case let error: throw .system(Errno(rawValue: error), doing: "unmounting \(path)")
    }
  }

  /// Whether it is still in the list of mounts.
  public var isMounted: Bool { MountTable.read().mount(at: path) != nil }

  /// Whether anybody can still use it: also after a lazy unmount, as long as a file is open in it. The device says so.
  var isConnected: Bool {
    var watched = pollfd(fd: device.rawValue, events: Int16(POLLIN), revents: 0)
    return poll(&watched, 1, 0) <= 0 || watched.revents & Int16(POLLERR) == 0
  }

  // MARK: Steps

  /// - Returns: the mountpoint's absolute path.
  private static func prepare(
    _ mountpoint: String, _ options: MountOptions, say: (String) -> Void
  ) throws(MountError) -> String {
    var status = stat()
    if stat(mountpoint, &status) != 0, errno == ENOTCONN {
      let path = absolute(mountpoint)
      let type = MountTable.read().mount(at: path)?.type ?? "unknown"
      guard type == "fuse.\(options.type)" else { throw .staleMount(mountpoint, type: type) }
      try unmount(path, .lazily)
      say("detached a dead mount of an earlier run from \(path)")
    }
    guard stat(mountpoint, &status) == 0 else {
      switch errno {
      case ENOENT: throw .mountpointMissing(mountpoint)
      case ENOTDIR: throw .notADirectory(mountpoint)
      case EACCES: throw .forbidden(mountpoint)
      case let error: throw .system(Errno(rawValue: error), doing: "looking at \(mountpoint)")
      }
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw .notADirectory(mountpoint) }
    let path = absolute(mountpoint)
    if MountTable.read().mount(at: path)?.type == "fuse.\(options.type)" { throw .alreadyMounted(mountpoint) }
    return path
  }

  private static func mountDirectly(_ path: String, _ options: MountOptions) throws(MountError) -> FileDescriptor {
    let device = try openDevice()
    var words = ["fd=\(device.rawValue)", "rootmode=40000", "user_id=\(geteuid())", "group_id=\(getegid())"]
    words.append("default_permissions")
    if options.allowOther { words.append("allow_other") }
    var flags = UInt(MS_NOSUID) | UInt(MS_NODEV)
    if options.readOnly { flags |= UInt(MS_RDONLY) }
    if CLinux.mount(options.source, path, "fuse.\(options.type)", flags, words.joined(separator: ",")) == 0 {
      return device
    }
    let error = errno
    close(device.rawValue)
    switch error {
    case EPERM: throw .forbidden(path)
    case EBUSY: throw .busy(path)
    case ENODEV: throw .noDevice
    default: throw .system(Errno(rawValue: error), doing: "mounting at \(path)")
    }
  }

  private static func openDevice() throws(MountError) -> FileDescriptor {
    let device = open("/dev/fuse", O_RDWR | O_CLOEXEC)
    if device >= 0 { return FileDescriptor(rawValue: device) }
    switch errno {
    case ENOENT, ENODEV, ENXIO: throw .noDevice
    case EACCES, EPERM: throw .deviceForbidden
    case let error: throw .system(Errno(rawValue: error), doing: "opening /dev/fuse")
    }
  }

  /// Resolves all but the last component: the last may be a dead mount, which cannot be looked into.
  static func absolute(_ path: String) -> String {
    if let resolved = realpath(path, nil) {
      defer { free(resolved) }
      return String(cString: resolved)
    }
    let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let slash = trimmed.lastIndex(of: "/")
    let parent = slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
    let name = slash.map { String(trimmed[trimmed.index(after: $0)...]) } ?? trimmed
    guard let resolved = realpath(parent, nil) else { return trimmed }
    defer { free(resolved) }
    let folder = String(cString: resolved)
    return folder == "/" ? "/\(name)" : "\(folder)/\(name)"
  }
}

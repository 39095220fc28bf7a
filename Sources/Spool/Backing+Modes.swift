internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Modes may shut out their owner, and in a user's own mount that is reelfs, too: only root is not asked. Such recordings are
/// uploaded all the same, and the mount starts. The owner's permissions are lent for the length of a call that was refused,
/// and taken back; the node's time of change moves by that, and a kill in between leaves them.
extension Backing {
  /// Held while permissions are lent, and while modes are changed.
  private static let lock = ReadWriteLock()
  /// Odd while permissions are lent: what a mode is cannot be seen then.
  private static let lendings = Atomic<UInt64>(0)

  /// Runs `body`; again with the owner's permissions of all folders on the way if modes refuse it.
  /// - Parameters:
  ///   - path: empty for `folder` itself, which is an open file then.
  ///   - opens: those of what lies at `path` are needed as well.
  @discardableResult
  static func allowed<T>(
    _ path: [UInt8], in folder: FileDescriptor, opens: Bool = false, _ body: () throws(SpoolError) -> T
  ) throws(SpoolError) -> T {
    do throws(SpoolError) { return try body() } catch .io(.permissionDenied, _) {
      lock.lockExclusive()
      defer { lock.unlock() }
      return try lending(path, in: folder, opens: opens, body)
    }
  }

  /// What statx(2) says, birth time included; symbolic links are not followed.
  public static func status(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> BackingStatus {
    let before = lendings.load(ordering: .acquiring)
    do throws(SpoolError) {
      let status = try currentStatus(path, in: folder)
      if before & 1 == 0, lendings.load(ordering: .acquiring) == before { return status }
    } catch .io(.permissionDenied, _) {}
    lock.lockExclusive()
    defer { lock.unlock() }
    return try lending(path, in: folder, opens: false) { () throws(SpoolError) in try currentStatus(path, in: folder) }
  }

  public static func status(_ file: FileDescriptor) throws(SpoolError) -> BackingStatus { try status([], in: file) }

  public static func changeMode(_ path: [UInt8], in folder: FileDescriptor, mode: UInt32) throws(SpoolError) {
    func change() throws(SpoolError) { try call("chmod") { with(path, in: folder) { fchmodat($0, $1, mode, 0) } } }
    lock.lockExclusive()
    defer { lock.unlock() }
    do throws(SpoolError) { try change() } catch .io(.permissionDenied, _) {
      try lending(path, in: folder, opens: false) { () throws(SpoolError) in try change() }
    }
  }

  // MARK: Lending (with the lock held)

  private static func lending<T>(
    _ path: [UInt8], in folder: FileDescriptor, opens: Bool, _ body: () throws(SpoolError) -> T
  ) throws(SpoolError) -> T {
    // An absolute path leads through folders that are not ours.
    if path.first == UInt8(ascii: "/") { return try body() }
    var lent: [(file: FileDescriptor, mode: UInt32)] = []
    defer {
      for (file, mode) in lent.reversed() {
        setMode(mode, of: file)
        try? file.close()
      }
      if !lent.isEmpty { lendings.add(1, ordering: .releasing) }
    }
    for part in folders(above: path) + (opens ? [path] : []) {
      // Of what is not there, or not ours, the call itself says so.
      guard let file = try? heldNow(part, in: folder) else { break }
      guard let status = try? currentStatus([], in: file) else {
        try? file.close()
        break
      }
      let (mode, needed): (UInt32, UInt32) = (status.mode & 0o7777, status.isFolder ? 0o700 : 0o600)
      if mode & needed == needed {
        try? file.close()
        continue
      }
      if lent.isEmpty { lendings.add(1, ordering: .acquiringAndReleasing) }
      lent.append((file, mode))
      setMode(mode | needed, of: file)
    }
    return try body()
  }

  private static func folders(above path: [UInt8]) -> [[UInt8]] {
    path.indices.filter { path[$0] == UInt8(ascii: "/") }.map { Array(path[..<$0]) }
  }

  private static func heldNow(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> FileDescriptor {
    let descriptor = try call("open") {
      path.isEmpty
        ? fcntl(folder.rawValue, F_DUPFD_CLOEXEC, 0)
        : with(path, in: folder) { openat($0, $1, clinux_o_path() | O_CLOEXEC | O_NOFOLLOW) }
    }
    return FileDescriptor(rawValue: descriptor)
  }

  private static func setMode(_ mode: UInt32, of file: FileDescriptor) { _ = chmod("/proc/self/fd/\(file.rawValue)", mode) }

  private static func currentStatus(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> BackingStatus {
    var result = statx()
    try call("stat") {
      with(path, in: folder) {
        clinux_statx(
          $0, $1, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (path.isEmpty ? AT_EMPTY_PATH : 0),
          UInt32(STATX_BASIC_STATS | STATX_BTIME), &result)
      }
    }
    return BackingStatus(result)
  }
}

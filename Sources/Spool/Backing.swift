internal import CLinux
internal import Glibc
public import SystemPackage

/// The calls on the backing tree, with errors as values. Everything unsafe of this target is in `Backing` and in
/// `BackingDirectory`. Paths are bytes relative to an open folder, without a leading slash; `.` for the folder itself.
/// What a mode refuses to its owner, reelfs may do all the same (`Backing+Modes`).
public enum Backing {
  /// Runs a call that returns -1 and sets errno; EINTR is retried.
  @discardableResult
  static func call<T: SignedInteger>(_ what: String, _ body: () -> T) throws(SpoolError) -> T {
    while true {
      let result = body()
      if result != -1 { return result }
      let error = Errno(rawValue: Glibc.errno)
      if error == .interrupted { continue }
      throw error == .noSpace ? .noSpace : .io(error, what: what)
    }
  }

  /// The same for a call on what lies at `path`.
  @discardableResult
  static func call<T: SignedInteger>(
    _ what: String, at path: [UInt8], in folder: FileDescriptor, opens: Bool = false,
    _ body: (CInt, UnsafePointer<CChar>) -> T
  ) throws(SpoolError) -> T {
    try allowed(path, in: folder, opens: opens) { () throws(SpoolError) in try call(what) { with(path, in: folder, body) } }
  }

  /// Lends `path` as C wants it, relative to the folder it is lent with. Of a path longer than the kernel takes, all folders
  /// but the last few are opened first.
  static func with<T: SignedInteger>(
    _ path: [UInt8], in folder: FileDescriptor, _ body: (CInt, UnsafePointer<CChar>) -> T
  ) -> T {
    var (rest, base) = (path[...], folder.rawValue)
    defer { if base != folder.rawValue { close(base) } }
    while rest.count >= Int(PATH_MAX) {
      guard let cut = rest.prefix(Int(PATH_MAX) - 1).lastIndex(of: UInt8(ascii: "/")), cut > rest.startIndex else {
        Glibc.errno = ENAMETOOLONG
        return -1
      }
      let next = with(Array(rest[..<cut])) { openat(base, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
      guard next >= 0 else { return -1 }
      if base != folder.rawValue { close(base) }
      (base, rest) = (next, rest[(cut + 1)...])
    }
    return with(Array(rest)) { body(base, $0) }
  }

  /// Lends `path` as a C string.
  static func with<T>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> T) -> T {
    (path + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
  }

  public static func open(_ path: [UInt8], in folder: FileDescriptor, flags: Int32, mode: UInt32 = 0)
    throws(SpoolError) -> FileDescriptor
  {
    let descriptor = try call("open", at: path, in: folder, opens: flags & clinux_o_path() == 0) {
      openat($0, $1, flags | O_CLOEXEC | O_NOFOLLOW, mode)
    }
    return FileDescriptor(rawValue: descriptor)
  }

  /// Keeps what lies at `path`, of whatever kind, without opening it.
  static func hold(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> FileDescriptor {
    try open(path, in: folder, flags: clinux_o_path())
  }

  /// A new file without a name.
  public static func openNameless(in folder: FileDescriptor, mode: UInt32) throws(SpoolError) -> FileDescriptor {
    let descriptor = try call("open") { openat(folder.rawValue, ".", O_RDWR | clinux_o_tmpfile() | O_CLOEXEC, mode) }
    return FileDescriptor(rawValue: descriptor)
  }

  /// Gives an open file a (first) name.
  public static func link(_ file: FileDescriptor, to path: [UInt8], in folder: FileDescriptor) throws(SpoolError) {
    try call("link") {
      with(path, in: folder) { linkat(AT_FDCWD, "/proc/self/fd/\(file.rawValue)", $0, $1, AT_SYMLINK_FOLLOW) }
    }
  }

  /// Bytes of a file of ours; 0 when it is not there. Foundation would look up its owner's name for that.
  public static func size(of path: String) -> Int64 {
    (try? status(Array(path.utf8), in: FileDescriptor(rawValue: AT_FDCWD)))?.size ?? 0
  }

  public static func makeFolder(_ path: [UInt8], in folder: FileDescriptor, mode: UInt32) throws(SpoolError) {
    try call("mkdir", at: path, in: folder) { mkdirat($0, $1, mode) }
  }

  public static func makeNode(_ path: [UInt8], in folder: FileDescriptor, mode: UInt32, device: UInt64)
    throws(SpoolError)
  {
    try call("mknod", at: path, in: folder) { mknodat($0, $1, mode, dev_t(device)) }
  }

  public static func makeSymlink(_ path: [UInt8], in folder: FileDescriptor, target: [UInt8]) throws(SpoolError) {
    try call("symlink", at: path, in: folder) { folder, path in with(target) { symlinkat($0, folder, path) } }
  }

  public static func readLink(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = try call("readlink", at: path, in: folder) { folder, path in
      buffer.withUnsafeMutableBytes { bytes in
        readlinkat(folder, path, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
      }
    }
    return Array(buffer[..<count])
  }

  public static func link(
    _ path: [UInt8], in folder: FileDescriptor, to newPath: [UInt8], in newFolder: FileDescriptor
  ) throws(SpoolError) {
    try call("link") {
      with(path, in: folder) { from, old in with(newPath, in: newFolder) { linkat(from, old, $0, $1, 0) } }
    }
  }

  public static func unlink(_ path: [UInt8], in folder: FileDescriptor, isFolder: Bool = false) throws(SpoolError) {
    try call("unlink", at: path, in: folder) { unlinkat($0, $1, isFolder ? AT_REMOVEDIR : 0) }
  }

  public static func rename(
    _ path: [UInt8], in folder: FileDescriptor, to newPath: [UInt8], in newFolder: FileDescriptor, flags: UInt32 = 0
  ) throws(SpoolError) {
    try call("rename") {
      with(path, in: folder) { from, old in with(newPath, in: newFolder) { renameat2(from, old, $0, $1, flags) } }
    }
  }

  /// `UInt32.max` leaves the owner or the group alone.
  public static func changeOwner(_ path: [UInt8], in folder: FileDescriptor, user: UInt32, group: UInt32)
    throws(SpoolError)
  {
    try call("chown", at: path, in: folder) { fchownat($0, $1, user, group, AT_SYMLINK_NOFOLLOW) }
  }

  /// nil leaves a time alone; `.now` is the file system's clock.
  public static func changeTimes(
    _ path: [UInt8], in folder: FileDescriptor, access: BackingTime?, modification: BackingTime?
  ) throws(SpoolError) {
    let times = [timespec(access), timespec(modification)]
    try call("utimens", at: path, in: folder) { utimensat($0, $1, times, AT_SYMLINK_NOFOLLOW) }
  }

  static func changeModificationTime(_ file: FileDescriptor, to time: BackingTime) throws(SpoolError) {
    try call("utimens") { futimens(file.rawValue, [timespec(nil), timespec(time)]) }
  }

  private static func timespec(_ time: BackingTime?) -> timespec {
    switch time {
    case nil: Glibc.timespec(tv_sec: 0, tv_nsec: clinux_utime_omit())
    case .now: Glibc.timespec(tv_sec: 0, tv_nsec: clinux_utime_now())
    case .at(let seconds, let nanoseconds): Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    }
  }

  /// An id of the mount that holds `path`, never used again while the machine runs; 0 on kernels before 6.8.
  static func uniqueMountID(of path: [UInt8]) -> UInt64 {
    // STATX_MNT_ID_UNIQUE and stx_mnt_id (statx(2)), whatever the headers know.
    let (wanted, place) = (UInt32(0x4000), 0x90)
    var raw = statx()
    guard with(path, { clinux_statx(AT_FDCWD, $0, 0, wanted, &raw) }) == 0, raw.stx_mask & wanted != 0 else { return 0 }
    return withUnsafeBytes(of: &raw) { $0.load(fromByteOffset: place, as: UInt64.self) }
  }
}

/// renameat2(2)'s flags, whose macros Swift sees only through one of two headers.
public enum RenameFlags {
  public static let noReplace: UInt32 = 1
  public static let exchange: UInt32 = 2
}

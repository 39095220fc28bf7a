internal import CLinux
internal import Glibc
public import SystemPackage

/// The calls on the backing tree, with errors as values. Everything unsafe of this target is here and in
/// `BackingDirectory`. Paths are bytes relative to an open folder, without a leading slash; `.` for the folder itself.
public enum Backing {
  /// Name of the attribute that ties a backing file to its session, hidden in the mount.
  public static let sessionAttribute = "user.reelfs.session"

  /// Which chunks of a backing file are only at the destination (`ChunkSet.text`), hidden in the mount.
  static let evictedAttribute = "user.reelfs.evicted"

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

  /// The same for the calls on extended attributes, which know no `at` form.
  static func withAbsolute<T: SignedInteger>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> T) -> T {
    if path.count < Int(PATH_MAX) { return with(path, body) }
    return with(path, in: FileDescriptor(rawValue: AT_FDCWD)) { folder, rest in
      with(Array("/proc/self/fd/\(folder)/".utf8) + Array(UnsafeBufferPointer(start: rest, count: strlen(rest))).map {
        UInt8(bitPattern: $0)
      }, body)
    }
  }

  /// Lends `path` as a C string.
  static func with<T>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> T) -> T {
    (path + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
  }

  public static func open(_ path: [UInt8], in folder: FileDescriptor, flags: Int32, mode: UInt32 = 0)
    throws(SpoolError) -> FileDescriptor
  {
    let descriptor = try call("open") {
      with(path, in: folder) { openat($0, $1, flags | O_CLOEXEC | O_NOFOLLOW, mode) }
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

  /// What statx(2) says, birth time included; symbolic links are not followed.
  public static func status(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> BackingStatus {
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

  public static func status(_ file: FileDescriptor) throws(SpoolError) -> BackingStatus {
    try status([], in: file)
  }

  /// Bytes of a file of ours; 0 when it is not there. Foundation would look up its owner's name for that.
  public static func size(of path: String) -> Int64 {
    (try? status(Array(path.utf8), in: FileDescriptor(rawValue: AT_FDCWD)))?.size ?? 0
  }

  public static func makeFolder(_ path: [UInt8], in folder: FileDescriptor, mode: UInt32) throws(SpoolError) {
    try call("mkdir") { with(path, in: folder) { mkdirat($0, $1, mode) } }
  }

  public static func makeNode(_ path: [UInt8], in folder: FileDescriptor, mode: UInt32, device: UInt64)
    throws(SpoolError)
  {
    try call("mknod") { with(path, in: folder) { mknodat($0, $1, mode, dev_t(device)) } }
  }

  public static func makeSymlink(_ path: [UInt8], in folder: FileDescriptor, target: [UInt8]) throws(SpoolError) {
    try call("symlink") { with(target) { target in with(path, in: folder) { symlinkat(target, $0, $1) } } }
  }

  public static func readLink(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = try call("readlink") {
      buffer.withUnsafeMutableBytes { bytes in
        with(path, in: folder) {
          readlinkat($0, $1, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
        }
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
    try call("unlink") { with(path, in: folder) { unlinkat($0, $1, isFolder ? AT_REMOVEDIR : 0) } }
  }

  public static func rename(
    _ path: [UInt8], in folder: FileDescriptor, to newPath: [UInt8], in newFolder: FileDescriptor, flags: UInt32 = 0
  ) throws(SpoolError) {
    try call("rename") {
      with(path, in: folder) { from, old in with(newPath, in: newFolder) { renameat2(from, old, $0, $1, flags) } }
    }
  }

  public static func changeMode(_ path: [UInt8], in folder: FileDescriptor, mode: UInt32) throws(SpoolError) {
    try call("chmod") { with(path, in: folder) { fchmodat($0, $1, mode, 0) } }
  }

  /// `UInt32.max` leaves the owner or the group alone.
  public static func changeOwner(_ path: [UInt8], in folder: FileDescriptor, user: UInt32, group: UInt32)
    throws(SpoolError)
  {
    try call("chown") { with(path, in: folder) { fchownat($0, $1, user, group, AT_SYMLINK_NOFOLLOW) } }
  }

  /// nil leaves a time alone; `.now` is the file system's clock.
  public static func changeTimes(
    _ path: [UInt8], in folder: FileDescriptor, access: BackingTime?, modification: BackingTime?
  ) throws(SpoolError) {
    let times = [timespec(access), timespec(modification)]
    try call("utimens") { with(path, in: folder) { utimensat($0, $1, times, AT_SYMLINK_NOFOLLOW) } }
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

  // MARK: Open files

  public static func truncate(_ file: FileDescriptor, to size: Int64) throws(SpoolError) {
    try call("truncate") { ftruncate(file.rawValue, Int(size)) }
  }

  public static func synchronize(_ file: FileDescriptor, dataOnly: Bool) throws(SpoolError) {
    try call("fsync") { dataOnly ? fdatasync(file.rawValue) : fsync(file.rawValue) }
  }

  /// `mode` as in fallocate(2).
  public static func allocate(_ file: FileDescriptor, mode: Int32, offset: Int64, count: Int64) throws(SpoolError) {
    try call("fallocate") { fallocate(file.rawValue, mode, Int(offset), Int(count)) }
  }

  /// `whence`: SEEK_DATA or SEEK_HOLE.
  public static func seek(_ file: FileDescriptor, offset: Int64, whence: Int32) throws(SpoolError) -> Int64 {
    try Int64(call("lseek") { lseek(file.rawValue, Int(offset), whence) })
  }

  public static func copyRange(
    from source: FileDescriptor, at sourceOffset: Int64, to target: FileDescriptor, at targetOffset: Int64, count: Int
  ) throws(SpoolError) -> Int {
    var (input, output) = (Int(sourceOffset), Int(targetOffset))
    return try call("copy_file_range") {
      copy_file_range(source.rawValue, &input, target.rawValue, &output, count, 0)
    }
  }

  /// Reads up to `count` bytes at `offset` for ourselves; fewer only at the end of the file. The time of access stays: no
  /// program has read.
  public static func read(_ file: FileDescriptor, at offset: Int64, count: Int) throws(SpoolError) -> [UInt8] {
    // Refused for somebody else's file: then its time moves.
    let quiet = Glibc.open("/proc/self/fd/\(file.rawValue)", O_RDONLY | O_NOATIME | O_CLOEXEC)
    defer { if quiet >= 0 { close(quiet) } }
    let source = quiet >= 0 ? quiet : file.rawValue
    var failure: SpoolError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let done = pread(source, buffer.baseAddress! + initialized, count - initialized, Int(offset) + initialized)
        if done > 0 { initialized += done; continue }
        if done == 0 { break }
        let error = Errno(rawValue: Glibc.errno)
        if error == .interrupted { continue }
        failure = .io(error, what: "read")
        break
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Writes all of `bytes` at `offset`.
  public static func write(_ bytes: [UInt8], to file: FileDescriptor, at offset: Int64) throws(SpoolError) {
    var done = 0
    while done < bytes.count {
      done += try call("write") {
        bytes.withUnsafeBytes { pwrite(file.rawValue, $0.baseAddress! + done, bytes.count - done, Int(offset) + done) }
      }
    }
  }

  // MARK: Extended attributes (paths are absolute or relative to the working folder: the calls know no `at` form)

  public static func attribute(_ name: [UInt8], of path: [UInt8]) throws(SpoolError) -> [UInt8] {
    try attributeBytes("getxattr") { bytes in
      withAbsolute(path) { path in with(name) { lgetxattr(path, $0, bytes.baseAddress, bytes.count) } }
    }
  }

  public static func attributeNames(of path: [UInt8]) throws(SpoolError) -> [[UInt8]] {
    try attributeBytes("listxattr") { bytes in
      withAbsolute(path) { llistxattr($0, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count) }
    }.split(separator: 0).map(Array.init)
  }

  /// What `read` puts into a buffer. A small one at first: the kernel asks for an attribute of each new file before its first
  /// write, and both sides would clear 64 KiB for it.
  private static func attributeBytes(
    _ name: String, _ read: (UnsafeMutableRawBufferPointer) -> Int
  ) throws(SpoolError) -> [UInt8] {
    do {
      return try attributeBytes(name, max: 256, read)
    } catch .io(.outOfRange, _) {
      // XATTR_SIZE_MAX, XATTR_LIST_MAX: nothing is larger.
      return try attributeBytes(name, max: 65_536, read)
    }
  }

  private static func attributeBytes(
    _ name: String, max: Int, _ read: (UnsafeMutableRawBufferPointer) -> Int
  ) throws(SpoolError) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: max)
    let count = try call(name) { buffer.withUnsafeMutableBytes(read) }
    buffer.removeLast(max - count)
    return buffer
  }

  public static func setAttribute(_ name: [UInt8], _ value: [UInt8], flags: Int32, of path: [UInt8])
    throws(SpoolError)
  {
    try call("setxattr") {
      value.withUnsafeBytes { bytes in
        withAbsolute(path) { path in with(name) { lsetxattr(path, $0, bytes.baseAddress, bytes.count, flags) } }
      }
    }
  }

  public static func removeAttribute(_ name: [UInt8], of path: [UInt8]) throws(SpoolError) {
    try call("removexattr") { withAbsolute(path) { path in with(name) { lremovexattr(path, $0) } } }
  }

  /// - Parameter flags: as of setxattr(2).
  static func setAttribute(_ name: String, _ value: String, flags: Int32 = 0, of file: FileDescriptor) throws(SpoolError) {
    try call("setxattr") { fsetxattr(file.rawValue, name, value, value.utf8.count, flags) }
  }

  /// nil when the file has no such attribute, or its file system has none at all.
  static func attribute(_ name: String, of file: FileDescriptor) -> String? {
    let value = try? attributeBytes("getxattr") { fgetxattr(file.rawValue, name, $0.baseAddress, $0.count) }
    return value.flatMap { $0.isEmpty ? nil : String(decoding: $0, as: UTF8.self) }
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

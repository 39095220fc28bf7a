import Glibc
import SystemPackage

/// An open directory. Everything is named relative to it, one component at a time and without following symbolic
/// links, so nothing outside the data folder can be reached whatever lies in it. Any thread may call.
final class Directory: Sendable {
  let descriptor: CInt

  private init(descriptor: CInt) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Opens the data folder itself, creating its last component. The only place where a path is followed.
  static func open(path: String) throws(IOFailure) -> Directory {
    if mkdir(path, 0o777) != 0 && errno != EEXIST { throw IOFailure.last("create the folder \(path)") }
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw IOFailure.last("open the folder \(path)") }
    return Directory(descriptor: descriptor)
  }

  func directory(_ name: EntryName) throws(IOFailure) -> Directory {
    let opened = name.withCString { openat(descriptor, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
    guard opened >= 0 else { throw IOFailure.last("open the folder \(name)") }
    return Directory(descriptor: opened)
  }

  /// Opens `name`, creating it if missing. A new entry is synced before this returns: what is put below would
  /// otherwise vanish with it in a power cut.
  func directory(creating name: EntryName) throws(IOFailure) -> Directory {
    if name.withCString({ mkdirat(descriptor, $0, 0o777) }) == 0 {
      try synchronize()
    } else if errno != EEXIST {
      throw IOFailure.last("create the folder \(name)")
    }
    return try directory(name)
  }

  /// The same without syncing a new entry: the caller does, before anybody counts on it.
  func directory(creatingUnsynced name: EntryName) throws(IOFailure) -> Directory {
    if name.withCString({ mkdirat(descriptor, $0, 0o777) }) != 0, errno != EEXIST {
      throw IOFailure.last("create the folder \(name)")
    }
    return try directory(name)
  }

  func file(_ name: EntryName, _ mode: OpenMode) throws(IOFailure) -> OpenFile {
    let opened = name.withCString { openat(descriptor, $0, mode.flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0o666) }
    guard opened >= 0 else { throw IOFailure.last("open \(name)") }
    return OpenFile(descriptor: opened)
  }

  enum OpenMode {
    case read
    /// For reading and writing; created if missing.
    case update
    /// For writing; created if missing, emptied if not.
    case replace

    fileprivate var flags: CInt {
      switch self {
      case .read: O_RDONLY
      case .update: O_RDWR | O_CREAT
      case .replace: O_RDWR | O_CREAT | O_TRUNC
      }
    }
  }

  /// nil when there is no such entry. A symbolic link is not followed.
  func attributes(_ name: EntryName) throws(IOFailure) -> FileAttributes? {
    var status = stat()
    if name.withCString({ fstatat(descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 {
      return FileAttributes(status)
    }
    if errno == ENOENT { return nil }
    throw IOFailure.last("look at \(name)")
  }

  /// Replaces what has the new name.
  func rename(_ name: EntryName, to target: Directory, as newName: EntryName) throws(IOFailure) {
    let failed = name.withCString { old in
      newName.withCString { new in renameat(descriptor, old, target.descriptor, new) }
    }
    if failed != 0 { throw IOFailure.last("rename \(name) to \(newName)") }
  }

  func link(_ name: EntryName, to target: Directory, as newName: EntryName) throws(IOFailure) {
    let failed = name.withCString { old in
      newName.withCString { new in linkat(descriptor, old, target.descriptor, new, 0) }
    }
    if failed != 0 { throw IOFailure.last("link \(name) as \(newName)") }
  }

  /// False when there was nothing to remove.
  @discardableResult
  func remove(_ name: EntryName) throws(IOFailure) -> Bool {
    if name.withCString({ unlinkat(descriptor, $0, 0) }) == 0 { return true }
    if errno == ENOENT { return false }
    throw IOFailure.last("remove \(name)")
  }

  /// Removes an empty folder; false when it is not empty or not there.
  @discardableResult
  func removeDirectory(_ name: EntryName) throws(IOFailure) -> Bool {
    if name.withCString({ unlinkat(descriptor, $0, AT_REMOVEDIR) }) == 0 { return true }
    if [ENOENT, ENOTEMPTY, EEXIST, ENOTDIR].contains(errno) { return false }
    throw IOFailure.last("remove the folder \(name)")
  }

  /// Removes a folder and what is in it, two levels deep: the receiver never makes more.
  func removeTree(_ name: EntryName) throws(IOFailure) {
    if try removeDirectory(name) { return }
    let folder: Directory
    do throws(IOFailure) { folder = try directory(name) } catch {
      if error.isMissing { return }
      throw error
    }
    for entry in try folder.entries() {
      if try folder.attributes(entry)?.isDirectory == true {
        let inner = try folder.directory(entry)
        for file in try inner.entries() { try inner.remove(file) }
        try folder.removeDirectory(entry)
      } else {
        try folder.remove(entry)
      }
    }
    try removeDirectory(name)
  }

  /// All names, sorted by their bytes.
  func entries() throws(IOFailure) -> [EntryName] {
    // A descriptor of its own: fdopendir takes it over and closedir closes it.
    let own = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard own >= 0 else { throw IOFailure.last("list a folder") }
    guard let stream = fdopendir(own) else {
      let failure = IOFailure.last("list a folder")
      close(own)
      throw failure
    }
    defer { closedir(stream) }
    var names: [EntryName] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw IOFailure.last("list a folder") }
        break
      }
      // As long as it is: a copy of the whole field would read beyond the last entry of libc's buffer.
      let name = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
      let bytes = Array(UnsafeRawBufferPointer(start: name, count: strlen(name.assumingMemoryBound(to: CChar.self))))
      if let name = EntryName(bytes) { names.append(name) }
    }
    return names.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
  }

  /// Makes new, renamed and removed names in it durable.
  func synchronize() throws(IOFailure) {
    while fsync(descriptor) != 0 {
      if errno != EINTR { throw IOFailure.last("sync a folder") }
    }
  }

  /// Makes everything durable that was written to this folder's file system, by whomever: a hundred small files at once cost
  /// no more than one. Errors of files that were closed meanwhile are told as well (Linux 5.8).
  func synchronizeFileSystem() throws(IOFailure) {
    guard let syncfs = Self.syncfs else { throw IOFailure(errno: .noFunction, action: "sync the disk") }
    while syncfs(descriptor) != 0 {
      if errno != EINTR { throw IOFailure.last("sync the disk") }
    }
  }

  /// syncfs(2), looked up at run time for the same reason as `OpenFile.copyFileRange`.
  private static let syncfs: (@convention(c) @Sendable (CInt) -> CInt)? =
    dlsym(dlopen(nil, RTLD_NOW), "syncfs").map { unsafeBitCast($0, to: (@convention(c) @Sendable (CInt) -> CInt).self) }

  /// Writes a whole small file durably under a temporary name, to be renamed by the caller.
  func write(_ bytes: [UInt8], synced name: EntryName) throws(IOFailure) {
    let file = try file(name, .replace)
    try file.write(bytes, at: 0)
    try file.synchronize()
  }
}

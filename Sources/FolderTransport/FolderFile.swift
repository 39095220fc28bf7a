import Glibc

/// System calls on paths of bytes, with their errors as `FolderError`.
enum FolderFile {
  static func text(_ path: [UInt8]) -> [CChar] { path.map { CChar(bitPattern: $0) } + [0] }
  static func shown(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }

  static func open(_ path: [UInt8], _ flags: Int32) throws(FolderError) -> Int32 {
    let descriptor = Glibc.open(text(path), flags | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard descriptor >= 0 else { throw FolderError("opening \(shown(path))") }
    return descriptor
  }

  static func exists(_ path: [UInt8]) -> Bool {
    var status = stat()
    return lstat(text(path), &status) == 0
  }

  static func size(_ descriptor: Int32, _ path: [UInt8]) throws(FolderError) -> Int64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FolderError("looking at \(shown(path))") }
    return Int64(status.st_size)
  }

  /// Makes the folders that lead to `path`, below `root`, which must be there.
  static func makeFolders(to path: [UInt8], below root: [UInt8]) throws(FolderError) {
    var end = root.count + 1
    while let slash = path[end...].firstIndex(of: UInt8(ascii: "/")) {
      let folder = Array(path[..<slash])
      guard mkdir(text(folder), 0o755) == 0 || errno == EEXIST else { throw FolderError("making \(shown(folder))") }
      end = slash + 1
    }
  }

  static func write(_ bytes: [UInt8], to descriptor: Int32, at offset: Int64, _ path: [UInt8]) throws(FolderError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw FolderError("writing \(shown(path))") }
      done += count
    }
  }

  static func read(_ descriptor: Int32, at offset: Int64, count: Int, _ path: [UInt8]) throws(FolderError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress! + done, count - done, off_t(offset) + off_t(done)) }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw FolderError("reading \(shown(path))") }
      if got == 0 { break }
      done += got
    }
    return Array(bytes.prefix(done))
  }

  static func sync(_ descriptor: Int32, _ path: [UInt8]) throws(FolderError) {
    guard fdatasync(descriptor) == 0 else { throw FolderError("syncing \(shown(path))") }
  }

  /// Makes a new or changed name durable. Some network file systems have no sync of folders: they say EINVAL.
  static func syncFolder(of path: [UInt8]) throws(FolderError) {
    let folder = Array(path[..<(path.lastIndex(of: UInt8(ascii: "/")) ?? 0)])
    let descriptor = Glibc.open(text(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FolderError("opening \(shown(folder))") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw FolderError("syncing \(shown(folder))") }
  }

  static func rename(_ from: [UInt8], _ to: [UInt8]) throws(FolderError) {
    guard Glibc.rename(text(from), text(to)) == 0 else { throw FolderError("renaming \(shown(from))") }
  }

  /// No error when there is none.
  static func remove(_ path: [UInt8]) throws(FolderError) {
    guard unlink(text(path)) == 0 || errno == ENOENT else { throw FolderError("removing \(shown(path))") }
  }

  /// Replaces `path` by `bytes`, durably.
  static func replace(_ path: [UInt8], _ bytes: [UInt8]) throws(FolderError) {
    let new = path + Array(".new".utf8)
    let descriptor = try open(new, O_WRONLY | O_CREAT | O_TRUNC)
    defer { close(descriptor) }
    try write(bytes, to: descriptor, at: 0, new)
    try sync(descriptor, new)
    try rename(new, path)
    try syncFolder(of: path)
  }

  /// nil when there is none.
  static func contents(_ path: [UInt8], bytesMax: Int) throws(FolderError) -> [UInt8]? {
    let descriptor = Glibc.open(text(path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw FolderError("opening \(shown(path))")
    }
    defer { close(descriptor) }
    return try read(descriptor, at: 0, count: bytesMax, path)
  }
}

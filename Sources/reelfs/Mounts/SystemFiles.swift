import Glibc

/// The few file calls that the commands need, with errors in words.
enum SystemFiles {
  /// All of a file.
  /// - Parameter bytesMax: more than this is refused instead of filling memory.
  static func read(_ path: String, bytesMax: Int) throws(SystemFailure) -> [UInt8] {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemFailure(errno, path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 128 << 10)
    while true {
      let count = Glibc.read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SystemFailure(errno, path) }
      if count == 0 { return bytes }
      guard bytes.count + count <= bytesMax else { throw SystemFailure(EFBIG, path) }
      bytes += block[..<count]
    }
  }

  /// One write(2) of all `bytes` to a file that exists.
  static func writeOnce(_ path: String, _ bytes: [UInt8]) throws(SystemFailure) {
    let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemFailure(errno, path) }
    defer { close(descriptor) }
    while true {
      let count = Glibc.write(descriptor, bytes, bytes.count)
      if count == bytes.count { return }
      if count < 0, errno == EINTR { continue }
      throw SystemFailure(count < 0 ? errno : EIO, path)
    }
  }

  /// The absolute path with all symbolic links resolved; of a path that does not exist, that of its folder plus name.
  static func absolute(_ path: String) throws(SystemFailure) -> String {
    if let resolved = realpath(path, nil) {
      defer { free(resolved) }
      return String(cString: resolved)
    }
    let reason = errno
    var parts = path.split(separator: "/", omittingEmptySubsequences: true)
    guard reason == ENOENT, let name = parts.popLast(), name != ".", name != ".." else {
      throw SystemFailure(reason, path)
    }
    let folder = (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    guard let resolved = realpath(folder.isEmpty ? "." : folder, nil) else { throw SystemFailure(errno, path) }
    defer { free(resolved) }
    let base = String(cString: resolved)
    return (base == "/" ? "" : base) + "/" + name
  }

  /// st_mode and owner; nil when the file cannot be asked about.
  static func mode(of path: String) -> (mode: UInt32, owner: UInt32)? {
    var facts = stat()
    guard stat(path, &facts) == 0 else { return nil }
    return (facts.st_mode, facts.st_uid)
  }

  static func isDirectory(_ path: String) -> Bool {
    guard let facts = mode(of: path) else { return false }
    return facts.mode & S_IFMT == S_IFDIR
  }
}

/// An errno with the path it was about.
struct SystemFailure: Error, Equatable, CustomStringConvertible {
  let number: Int32
  let path: String

  init(_ number: Int32, _ path: String) {
    self.number = number
    self.path = path
  }

  var reason: String { String(cString: strerror(number)) }
  var description: String { "\(path): \(reason)" }
}

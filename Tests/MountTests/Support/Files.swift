import CLinux
import Glibc
import TestSupport

/// A path as bytes: names in a mount need not be UTF-8.
struct Path: ExpressibleByStringInterpolation, CustomStringConvertible, Equatable {
  var bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  init(stringLiteral text: String) { bytes = Array(text.utf8) }
  init(_ text: String) { bytes = Array(text.utf8) }
  var description: String { String(decoding: bytes, as: UTF8.self) }

  var lastName: [UInt8] { Array(bytes.split(separator: UInt8(ascii: "/")).last ?? []) }

  static func / (folder: Path, name: Path) -> Path { Path(folder.bytes + [UInt8(ascii: "/")] + name.bytes) }

  func withCString<T>(_ body: (UnsafePointer<CChar>) -> T) -> T {
    (bytes + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
  }
}

/// Runs a system call. - Throws: `Failure` with its errno when it returns -1.
@discardableResult
func call<T: SignedInteger>(_ what: String, _ body: () -> T) throws -> T {
  let result = body()
  guard result != -1 else { throw Failure(what, code: errno) }
  return result
}

/// - Returns: the errno that `body` failed with; 0 when it did not.
func errorCode(_ body: () throws -> Void) -> Int32 {
  do { try body() } catch let failure as Failure { return failure.code } catch { return -1 }
  return 0
}

/// An open file; close it.
struct OpenFile {
  let descriptor: Int32

  init(_ path: Path, _ flags: Int32, mode: mode_t = 0o644) throws {
    descriptor = try call("open \(path)") { path.withCString { Glibc.open($0, flags | O_CLOEXEC, mode) } }
  }

  /// All of `bytes`, where the file's position is.
  func write(_ bytes: [UInt8]) throws {
    var done = 0
    while done < bytes.count {
      done += try call("write") { bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) } }
    }
  }

  func write(_ bytes: [UInt8], at offset: Int) throws {
    let done = try call("pwrite") { pwrite(descriptor, bytes, bytes.count, offset) }
    guard done == bytes.count else { throw Failure("pwrite wrote \(done) of \(bytes.count) bytes") }
  }

  func read(at offset: Int, count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let more = try call("pread") {
        bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress! + done, count - done, offset + done) }
      }
      if more == 0 { break }
      done += more
    }
    return Array(bytes[..<done])
  }

  func truncate(to size: Int) throws { try call("ftruncate") { ftruncate(descriptor, size) } }
  func synchronize() throws { try call("fsync") { fsync(descriptor) } }

  func status() throws -> stat {
    var result = stat()
    try call("fstat") { fstat(descriptor, &result) }
    return result
  }

  func close() throws { try call("close") { Glibc.close(descriptor) } }
}

/// The calls on paths that tests make.
enum Files {
  static func write(_ path: Path, _ bytes: [UInt8], _ flags: Int32 = O_WRONLY | O_CREAT | O_TRUNC) throws {
    let file = try OpenFile(path, flags)
    defer { try? file.close() }
    try file.write(bytes)
  }

  static func read(_ path: Path) throws -> [UInt8] {
    let file = try OpenFile(path, O_RDONLY)
    defer { try? file.close() }
    var bytes: [UInt8] = []
    while true {
      let more = try file.read(at: bytes.count, count: 1 << 20)
      if more.isEmpty { return bytes }
      bytes += more
    }
  }

  static func text(_ path: Path) throws -> String { String(decoding: try read(path), as: UTF8.self) }

  static func status(_ path: Path) throws -> stat {
    var result = stat()
    try call("lstat \(path)") { path.withCString { lstat($0, &result) } }
    return result
  }

  static func exists(_ path: Path) -> Bool { (try? status(path)) != nil }

  static func makeFolder(_ path: Path, mode: mode_t = 0o755) throws {
    try call("mkdir \(path)") { path.withCString { mkdir($0, mode) } }
  }

  static func unlink(_ path: Path) throws { try call("unlink \(path)") { path.withCString { Glibc.unlink($0) } } }
  static func removeFolder(_ path: Path) throws { try call("rmdir \(path)") { path.withCString { rmdir($0) } } }

  /// `flags` as in renameat2(2): 1 is NOREPLACE, 2 EXCHANGE.
  static func rename(_ path: Path, to newPath: Path, flags: UInt32 = 0) throws {
    try call("rename \(path)") {
      path.withCString { old in newPath.withCString { renameat2(AT_FDCWD, old, AT_FDCWD, $0, flags) } }
    }
  }

  /// Names in a folder, without `.` and `..`, in the order in which they come.
  static func names(_ path: Path) throws -> [[UInt8]] {
    guard let folder = path.withCString({ opendir($0) }) else { throw Failure("opendir \(path)", code: errno) }
    defer { closedir(folder) }
    var names: [[UInt8]] = []
    while let entry = readdir(folder) {
      let name = name(of: entry)
      if name != [46], name != [46, 46] { names.append(name) }
    }
    return names
  }

  /// As long as it is: a copy of the whole field would read beyond the last entry of libc's buffer.
  static func name(of entry: UnsafeMutablePointer<dirent>) -> [UInt8] {
    let name = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
    return Array(UnsafeRawBufferPointer(start: name, count: strlen(name.assumingMemoryBound(to: CChar.self))))
  }

  // MARK: Extended attributes

  static func attribute(_ name: String, of path: Path) throws -> String {
    var value = [UInt8](repeating: 0, count: 65_536)
    let count = try call("getxattr \(name) \(path)") {
      path.withCString { lgetxattr($0, name, &value, value.count) }
    }
    return String(decoding: value[..<count], as: UTF8.self)
  }

  static func attributeNames(of path: Path) throws -> [String] {
    var names = [CChar](repeating: 0, count: 65_536)
    let count = try call("listxattr \(path)") { path.withCString { llistxattr($0, &names, names.count) } }
    return names[..<count].split(separator: 0).map { String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self) }
  }

  static func setAttribute(_ name: String, _ value: String, of path: Path, flags: Int32 = 0) throws {
    try call("setxattr \(name) \(path)") {
      path.withCString { lsetxattr($0, name, value, value.utf8.count, flags) }
    }
  }

  static func removeAttribute(_ name: String, of path: Path) throws {
    try call("removexattr \(name) \(path)") { path.withCString { lremovexattr($0, name) } }
  }
}

/// Bytes that compress badly and repeat nowhere; the same for the same seed.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15
  return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, initialized in
    for offset in stride(from: 0, to: count, by: 8) {
      state &+= 0x9E37_79B9_7F4A_7C15
      var word = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
      word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
      UnsafeMutableRawBufferPointer(buffer).storeBytes(of: word ^ word >> 31, toByteOffset: offset, as: UInt64.self)
    }
    initialized = count
  }
}

let mebibyte = 1 << 20

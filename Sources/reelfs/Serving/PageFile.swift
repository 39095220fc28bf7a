import Glibc

/// `STATE/page.url`: the address of a mount's page with its token, `http://127.0.0.1:8091/#token=…`. Only the mount's
/// user may read it. What follows `#` is never sent to a server.
struct PageFile {
  let path: String

  init(path: String) { self.path = path }
  init(stateDirectory: String) { path = stateDirectory + "/page.url" }

  private static let mark = "#token="

  /// With a new token: 128 random bits.
  func write(address: String) throws(SystemFailure) {
    var generator = SystemRandomNumberGenerator()
    let token = (0..<2).map { _ in
      let digits = String(UInt64.random(in: 0...UInt64.max, using: &generator), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
    // A new file: an old one may be open to others.
    unlink(path)
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SystemFailure(errno, path) }
    defer { close(descriptor) }
    let bytes = Array((address + Self.mark + token + "\n").utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw SystemFailure(errno, path) }
  }

  /// nil when there is no page.
  var url: String? {
    guard let bytes = try? SystemFiles.read(path, bytesMax: 1_024) else { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.hasSuffix("\n") && text.contains(Self.mark) ? String(text.dropLast()) : nil
  }

  var token: String? { url.flatMap { $0.split(separator: Self.mark).last }.map(String.init) }

  /// The line for people. Without a terminal it may end in a log, and keeps the token to itself.
  var announcement: String? {
    guard let url else { return nil }
    if isatty(STDOUT_FILENO) == 1 { return "page: \(url)" }
    return "page: \(url.split(separator: "#").first ?? "") (to steer: reelfs web)"
  }
}

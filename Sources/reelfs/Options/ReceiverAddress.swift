package import SyncStatus

/// `http(s)://host[:port][/path]` of a receiver, taken apart strictly: what is odd is refused, not guessed.
package struct ReceiverAddress: Sendable, Equatable, CustomStringConvertible {
  package let isSecure: Bool
  /// A name, an IPv4 address, or an IPv6 address without its brackets.
  package let host: String
  package let port: Int
  /// "" or "/path" without a slash at its end: for a receiver behind a proxy.
  package let basePath: String

  package init(_ text: String) throws(TextError) {
    let rest: Substring
    if text.hasPrefix("http://") {
      (isSecure, rest) = (false, text.dropFirst(7))
    } else if text.hasPrefix("https://") {
      (isSecure, rest) = (true, text.dropFirst(8))
    } else {
      throw TextError("\"\(text)\" is not an http:// or https:// address")
    }
    guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw TextError("\"\(PrintableText.line(text))\" has characters that an address must not have")
    }
    guard !rest.contains("?"), !rest.contains("#") else {
      throw TextError("\"\(text)\": an address of a receiver has no ? or #")
    }
    let authority = rest.prefix { $0 != "/" }
    guard !authority.contains("@") else {
      throw TextError("an address must not hold a user or password: put the receiver's token into --token-file")
    }
    (host, port) = try Self.hostAndPort(authority, of: text, usual: isSecure ? 443 : 80)
    var path = String(rest.dropFirst(authority.count))
    while path.last == "/" { path.removeLast() }
    basePath = path
  }

  /// How it is shown, and what requests are sent to.
  package var description: String {
    let shown = host.contains(":") ? "[\(host)]" : host
    let usual = isSecure ? 443 : 80
    return (isSecure ? "https://" : "http://") + shown + (port == usual ? "" : ":\(port)") + basePath
  }

  /// `host:port` to listen on; port 0 means any free one.
  package static func listening(_ text: String) throws(TextError) -> (host: String, port: Int) {
    try hostAndPort(text[...], of: text, usual: nil, portMin: 0)
  }

  /// `host:port`, `[v6]:port`, or a host alone when `usual` is given.
  private static func hostAndPort(
    _ authority: Substring, of text: String, usual: Int?, portMin: Int = 1
  ) throws(TextError) -> (String, Int) {
    var host = authority
    var digits: Substring?
    if authority.first == "[" {
      guard let end = authority.firstIndex(of: "]") else { throw TextError("\"\(text)\": the ] is missing") }
      host = authority[authority.index(after: authority.startIndex)..<end]
      let after = authority[authority.index(after: end)...]
      guard after.isEmpty || after.first == ":" else { throw TextError("\"\(text)\": after ] only :port may follow") }
      digits = after.isEmpty ? nil : after.dropFirst()
      guard !host.isEmpty, host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else {
        throw TextError("\"\(text)\": this is no IPv6 address")
      }
    } else {
      if let colon = authority.lastIndex(of: ":") {
        host = authority[..<colon]
        digits = authority[authority.index(after: colon)...]
      }
      guard !host.isEmpty, host.allSatisfy({ $0.isLetter || $0.isNumber || "-._".contains($0) }) else {
        throw TextError("\"\(text)\" has no usable host name (IPv6 addresses need brackets: [::1])")
      }
    }
    guard let digits else {
      guard let usual else { throw TextError("\"\(text)\" has no port: write host:port") }
      return (String(host), usual)
    }
    guard let port = Int(digits), (portMin...65_535).contains(port) else {
      throw TextError("\"\(text)\": the port must be a number from \(portMin) to 65535")
    }
    return (String(host), port)
  }
}

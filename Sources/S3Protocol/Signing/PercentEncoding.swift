/// RFC 3986 percent-encoding as SigV4 wants it: `A-Za-z0-9-._~` stay, every other byte becomes `%XX` in capitals.
///
/// Works on bytes: a name on disk need not be UTF-8. Nothing is ever encoded twice, and no dot segment or double slash
/// is taken away: for S3 `a/../b` and `a//b` are names like any other.
package enum PercentEncoding {
  /// One component of a query: a slash is encoded too.
  package static func component(_ bytes: some Sequence<UInt8>) -> String { encode(bytes, keepingSlashes: false) }

  /// The path of an object: slashes stay.
  package static func path(_ bytes: some Sequence<UInt8>) -> String { encode(bytes, keepingSlashes: true) }

  /// Reads what S3 writes for `encoding-type=url`, where a space may come as `+`.
  /// - Returns: nil when a `%` is not followed by two hexadecimal digits.
  package static func decoded(_ text: String) -> [UInt8]? {
    var result: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "%"):
        guard rest.count >= 2, let bytes = Hex.bytes(rest.prefix(2)) else { return nil }
        result += bytes
        rest = rest.dropFirst(2)
      case UInt8(ascii: "+"): result.append(UInt8(ascii: " "))
      default: result.append(byte)
      }
    }
    return result
  }

  private static func encode(_ bytes: some Sequence<UInt8>, keepingSlashes: Bool) -> String {
    var text: [UInt8] = []
    for byte in bytes {
      if isUnreserved(byte) || (keepingSlashes && byte == UInt8(ascii: "/")) {
        text.append(byte)
      } else {
        text += [UInt8(ascii: "%"), Hex.capital(byte >> 4), Hex.capital(byte & 15)]
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }
}

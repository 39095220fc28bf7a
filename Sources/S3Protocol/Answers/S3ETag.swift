internal import Crypto

/// ETags as S3 makes them, unless it encrypts with keys of its own.
package enum S3ETag {
  /// Of a part, or of an object sent by one PUT: the MD5 of its bytes.
  package static func ofContent(_ content: S3Content) -> String { Hex.text(content.md5) }

  /// Of an object put together: the MD5 of the parts' MD5s, and how many there are.
  /// - Parameter parts: ascending by number.
  /// - Returns: nil when the ETag of a part is not an MD5.
  package static func ofObject(parts: [S3Part]) -> String? {
    var md5 = Insecure.MD5()
    for part in parts {
      guard let bytes = Hex.bytes(part.etag.utf8), bytes.count == 16 else { return nil }
      md5.update(data: bytes)
    }
    return Hex.text(md5.finalize()) + "-\(parts.count)"
  }

  /// Whether an ETag can be an MD5 at all.
  package static func isComparable(_ etag: String) -> Bool {
    let digits = etag.prefix { $0 != "-" }
    let count = etag.dropFirst(digits.count).dropFirst()
    return digits.utf8.count == 32 && digits.utf8.allSatisfy(Hex.isDigit) && count.utf8.allSatisfy { 0x30...0x39 ~= $0 }
  }

  /// Whether the part that the server holds is the one that was sent.
  /// - Returns: nil when its ETag cannot be compared.
  package static func isSame(_ etag: String, as content: S3Content) -> Bool? {
    guard isComparable(etag), !etag.contains("-") else { return nil }
    return etag.lowercased() == ofContent(content)
  }
}

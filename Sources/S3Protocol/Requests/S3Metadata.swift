/// The user's own attributes of a recording as `x-amz-meta-*` headers.
///
/// Names become lower-case tokens (S3 has no others), values that are not plain ASCII become RFC 2047 words, which is
/// also how Amazon gives them back. S3 takes 2 KiB of names and values: what does not fit is left out, and named.
package struct S3Metadata: Sendable, Equatable {
  package static let none = S3Metadata(attributes: [:])
  /// Bytes of all names (without `x-amz-meta-`) and values that S3 takes.
  package static let bytesMax = 2_048

  package let headers: [S3Header]
  /// Names, as the user wrote them, of attributes that were left out: too long, or equal to another one once tokens.
  package let leftOut: [String]

  /// - Parameter attributes: by name, without `user.`.
  package init(attributes: [String: [UInt8]]) {
    var headers: [S3Header] = []
    var leftOut: [String] = []
    var names: Set<String> = []
    var room = Self.bytesMax
    for (name, bytes) in attributes.sorted(by: { $0.key < $1.key }) {
      let token = Self.token(name)
      let value = Self.value(bytes)
      let count = token.utf8.count + value.utf8.count
      guard count <= room, names.insert(token).inserted else {
        leftOut.append(name)
        continue
      }
      room -= count
      headers.append(S3Header("x-amz-meta-" + token, value))
    }
    self.headers = headers
    self.leftOut = leftOut
  }

  /// A sentence for the recording's status; nil when everything is sent along.
  package var note: String? {
    guard !leftOut.isEmpty else { return nil }
    let names = leftOut.prefix(Self.namesShownMax).joined(separator: ", ")
    let more = leftOut.count > Self.namesShownMax ? " and \(leftOut.count - Self.namesShownMax) more" : ""
    return "not sent along as metadata, S3 takes 2 KiB and each name once: \(names)\(more)"
  }

  private static let namesShownMax = 5

  /// Letters, digits, `-`, `_` and `.` stay, everything else becomes `-`: servers and proxies drop other names silently.
  private static func token(_ name: String) -> String {
    let bytes = name.utf8.map { byte -> UInt8 in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte + 32
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
        UInt8(ascii: "_"), UInt8(ascii: "."):
        byte
      default: UInt8(ascii: "-")
      }
    }
    return bytes.isEmpty ? "-" : String(decoding: bytes, as: UTF8.self)
  }

  private static func value(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes, as: UTF8.self)
    // A value that begins or ends with a space would come back without it; one that looks like a word, decoded.
    let isPlain = bytes.allSatisfy { 0x20...0x7e ~= $0 } && bytes.first != 0x20 && bytes.last != 0x20
    return isPlain && !text.contains("=?") ? text : encodedWords(bytes)
  }

  /// `=?UTF-8?B?…?=`, as many as are needed: one may have 75 characters, and none may divide a character.
  /// Bytes that are not UTF-8 are named as what they then are: unknown to anybody.
  private static func encodedWords(_ bytes: [UInt8]) -> String {
    let charset = String(validating: bytes, as: UTF8.self) == nil ? "x-unknown" : "UTF-8"
    let room = (75 - "=??B??=".utf8.count - charset.utf8.count) / 4 * 3
    var words: [String] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      var end = rest.index(rest.startIndex, offsetBy: room, limitedBy: rest.endIndex) ?? rest.endIndex
      while charset == "UTF-8", end < rest.endIndex, rest[end] & 0xc0 == 0x80 { end -= 1 }
      words.append("=?\(charset)?B?\(Base64Text.text(rest[..<end]))?=")
      rest = rest[end...]
    }
    return words.joined(separator: " ")
  }
}

/// The name of one directory entry: 1–255 bytes without `/` and NUL, neither `.` nor `..`.
struct EntryName: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  static let byteCountMax = 255

  let bytes: [UInt8]

  /// nil unless `bytes` can name an entry; this is what keeps every path inside the data folder.
  init?(_ bytes: some Sequence<UInt8>) {
    let bytes = Array(bytes)
    guard (1...Self.byteCountMax).contains(bytes.count), !bytes.contains(0), !bytes.contains(UInt8(ascii: "/")),
      bytes != Array(".".utf8), bytes != Array("..".utf8)
    else { return nil }
    self.bytes = bytes
  }

  init(stringLiteral value: StaticString) {
    self.init(internal: value.description)
  }

  /// For names this program composes itself, of which it knows that they are valid.
  init(internal text: String) {
    guard let name = EntryName(text.utf8) else { preconditionFailure("invalid internal name \(text)") }
    self = name
  }

  /// Invalid UTF-8 is shown repaired: for messages only.
  var description: String { String(decoding: bytes, as: UTF8.self) }

  func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (bytes + [0]).withUnsafeBytes { raw in
      // The array lives through the call and ends with NUL.
      body(raw.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
  }
}

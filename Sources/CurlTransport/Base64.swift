/// RFC 4648 base64 with padding, which can begin at any character of the text.
enum Base64 {
  /// Characters for so many bytes.
  static func count(of bytes: Int) -> Int { (bytes + 2) / 3 * 4 }

  static func text(of bytes: [UInt8]) -> String {
    let length = count(of: bytes.count)
    return String(unsafeUninitializedCapacity: length) { buffer in
      encode(bytes, from: 0, count: length, into: UnsafeMutableRawBufferPointer(buffer))
      return length
    }
  }

  /// Writes characters `offset..<offset + count` of the text of `bytes`; all of them must exist and fit.
  static func encode(_ bytes: [UInt8], from offset: Int, count: Int, into output: UnsafeMutableRawBufferPointer) {
    precondition(offset + count <= Self.count(of: bytes.count) && count <= output.count)
    bytes.withUnsafeBufferPointer { source in
      alphabet.withUnsafeBufferPointer { alphabet in
        for position in 0..<count {
          let character = offset + position
          output[position] = symbol(character % 4, of: source, at: character / 4 * 3, alphabet)
        }
      }
    }
  }

  /// Character `place` (0...3) of the group of three bytes that begins at `start`.
  private static func symbol(
    _ place: Int, of source: UnsafeBufferPointer<UInt8>, at start: Int, _ alphabet: UnsafeBufferPointer<UInt8>
  ) -> UInt8 {
    let present = source.count - start
    if place > present { return UInt8(ascii: "=") }
    let first = UInt32(source[start]) << 16
    let second = present > 1 ? UInt32(source[start + 1]) << 8 : 0
    let third = present > 2 ? UInt32(source[start + 2]) : 0
    let group = first | second | third
    return alphabet[Int(group >> (18 - 6 * UInt32(place)) & 63)]
  }

  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}

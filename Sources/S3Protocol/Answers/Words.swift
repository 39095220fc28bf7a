/// Others' words, made fit for a line of status: control characters and line ends become spaces, and it ends somewhere.
enum Words {
  static let countMax = 200

  static func line(_ text: String) -> String {
    let words = text.prefix(4 * countMax).unicodeScalars.split {
      $0.properties.isWhitespace || $0.value < 0x20 || $0.value == 0x7f
    }
    let line = words.map { String(String.UnicodeScalarView($0)) }.joined(separator: " ")
    return line.count <= countMax ? line : line.prefix(countMax - 1) + "…"
  }
}

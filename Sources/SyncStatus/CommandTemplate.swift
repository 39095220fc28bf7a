/// A command as a setting holds it: words without a shell, and places in them for what the command is about.
///
/// Blanks part words. Single quotes take all until the next one as it is; in double quotes a backslash takes the next `"` or
/// `\`; elsewhere it takes the next character, whatever it is. `{path}` and the other names of `values` are put in after the
/// words have been parted, so no path can become two words or another command. Unknown names stay as they are.
public struct CommandTemplate: Sendable, Equatable {
  /// Program and arguments, with their `{names}`.
  public let words: [String]
  public static let wordsMax = 256
  /// A quarter of what one argument of execve(2) may hold: a path fits into it many times.
  public static let bytesMax = 32 << 10

  /// - Throws: a sentence that says what is wrong.
  public init(_ text: String) throws(TextError) {
    guard text.utf8.count <= Self.bytesMax, !text.utf8.contains(0) else {
      throw TextError("a command has at most \(Self.bytesMax) bytes, and none is NUL")
    }
    var words: [String] = []
    var word: String?
    var rest = Array(text)[...]
    while let character = rest.popFirst() {
      switch character {
      case " ", "\t", "\n", "\r\n":
        if let whole = word { words.append(whole) }
        word = nil
      case "'", "\"": word = (word ?? "") + (try Self.quoted(by: character, &rest))
      case "\\":
        guard let next = rest.popFirst() else { throw TextError("the command ends with a backslash that takes nothing") }
        word = (word ?? "") + String(next)
      default: word = (word ?? "") + String(character)
      }
    }
    if let word { words.append(word) }
    guard let program = words.first, !program.isEmpty else { throw TextError("a command needs a program") }
    guard words.count <= Self.wordsMax else { throw TextError("a command has at most \(Self.wordsMax) words") }
    self.words = words
  }

  private static func quoted(by quote: Character, _ rest: inout ArraySlice<Character>) throws(TextError) -> String {
    var text = ""
    while let character = rest.popFirst() {
      if character == quote { return text }
      if character == "\\", quote == "\"", let next = rest.first, next == "\"" || next == "\\" {
        text.append(rest.removeFirst())
      } else {
        text.append(character)
      }
    }
    throw TextError("the command has a \(quote) without its end")
  }

  /// The words with `{name}` replaced by its value; what a value holds is not looked at again.
  public func filled(_ values: [String: String]) -> [String] { words.map { Self.fill($0, values) } }

  private static func fill(_ word: String, _ values: [String: String]) -> String {
    var filled = ""
    var rest = word[...]
    while let open = rest.firstIndex(of: "{") {
      filled += rest[..<open]
      rest = rest[open...]
      guard let close = rest.firstIndex(of: "}"), let value = values[String(rest[rest.index(after: open)..<close])] else {
        filled.append(rest.removeFirst())
        continue
      }
      filled += value
      rest = rest[rest.index(after: close)...]
    }
    return filled + rest
  }
}

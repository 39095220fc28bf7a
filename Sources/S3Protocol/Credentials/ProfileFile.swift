/// One of the files of the AWS tools: sections in brackets with `name = value` lines; an indented line belongs to the
/// setting above it (`s3 =` and below it `addressing_style = path`), and is found as `s3.addressing_style`.
package struct ProfileFile: Sendable, Equatable {
  /// Longest file read: these have some hundred bytes a profile.
  package static let bytesMax = 1 << 20

  /// By section as it is written, then by name in lower case.
  package let sections: [String: [String: String]]

  /// - Parameter name: of the file, for complaints.
  package init(_ text: String, name: String) throws(S3ConfigurationError) {
    var sections: [String: [String: String]] = [:]
    var section: String?
    var parent: String?
    guard text.utf8.count <= Self.bytesMax else {
      throw .badProfileFile(file: name, line: 1, "the file is larger than \(Self.bytesMax) bytes")
    }
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    for (index, line) in lines.enumerated() {
      let isIndented = line.first == " " || line.first == "\t"
      let content = Self.trimmed(line)
      guard let first = content.first, first != "#", first != ";" else { continue }
      if first == "[", !isIndented {
        guard let end = content.firstIndex(of: "]") else {
          throw .badProfileFile(file: name, line: index + 1, "a section begins with [ and ends with ]")
        }
        let title = content[content.index(after: content.startIndex)..<end].split(whereSeparator: \.isWhitespace)
          .joined(separator: " ")
        sections[title, default: [:]].merge([:]) { $1 }
        (section, parent) = (title, nil)
        continue
      }
      guard let section else {
        throw .badProfileFile(file: name, line: index + 1, "a setting before the first [section]")
      }
      guard let equals = content.firstIndex(of: "=") else {
        // A value may go on in indented lines; nothing that is read here does.
        if isIndented { continue }
        throw .badProfileFile(file: name, line: index + 1, "expected name = value")
      }
      let key = Self.trimmed(content[..<equals]).lowercased()
      let value = Self.withoutComment(Self.trimmed(content[content.index(after: equals)...]))
      if isIndented, let parent {
        sections[section, default: [:]][parent + "." + key] = value
      } else {
        sections[section, default: [:]][key] = value
        parent = key
      }
    }
    self.sections = sections
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text.drop { $0.isWhitespace }
    while text.last?.isWhitespace == true { text.removeLast() }
    return text
  }

  /// A comment within a line begins after a space: keys may contain a `#`.
  private static func withoutComment(_ value: Substring) -> String {
    var previous: Character = " "
    for index in value.indices {
      if value[index] == "#" || value[index] == ";", previous.isWhitespace { return String(trimmed(value[..<index])) }
      previous = value[index]
    }
    return String(value)
  }
}

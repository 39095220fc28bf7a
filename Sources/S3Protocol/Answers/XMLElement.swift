/// One element of an S3 answer: its name without a namespace prefix, its text, its children. S3 says nothing in attributes.
struct XMLElement: Sendable, Equatable {
  let name: String
  var text = ""
  var children: [XMLElement] = []

  subscript(_ name: String) -> XMLElement? { children.first { $0.name == name } }

  /// The text of a child, without white space around it; nil when it is missing or empty.
  func value(_ name: String) -> String? {
    guard let text = self[name]?.trimmedText, !text.isEmpty else { return nil }
    return text
  }

  private var trimmedText: String {
    var rest = text.utf8.drop(while: XMLReader.isSpace)
    while let last = rest.last, XMLReader.isSpace(last) { rest.removeLast() }
    return String(decoding: rest, as: UTF8.self)
  }
}

/// Why a document could not be read.
struct XMLError: Error, Equatable {
  let reason: String
  /// Byte of the document.
  let offset: Int
}

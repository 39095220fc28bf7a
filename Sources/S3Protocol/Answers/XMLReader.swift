/// Reads the XML that S3 servers answer with: elements, text, the predefined entities, CDATA; comments and processing
/// instructions are skipped. Anything else is an error, first of all a DOCTYPE: so nothing can be declared, included or
/// expanded.
///
/// Our own, for six small documents. Foundation's XMLParser brings libxml2 and a second ICU into the process (30 MiB of
/// libraries to install, 4 to 6 MiB resident) and wants classes and callbacks in what is otherwise a pure target.
struct XMLReader {
  /// A page of 1,000 parts with checksums is 0.5 MB, and no longer answer is taken off the network.
  static let bytesMax = 2 << 20
  /// Five levels are the most that S3 uses.
  static let depthMax = 16
  /// A page of 1,000 parts or uploads has 11,000.
  static let elementsMax = 65_536

  private let bytes: [UInt8]
  private var position = 0
  private var elements = 0

  /// - Returns: the root element.
  static func read(_ bytes: [UInt8]) throws(XMLError) -> XMLElement {
    guard bytes.count <= bytesMax else { throw XMLError(reason: "the document is too long", offset: bytesMax) }
    var reader = XMLReader(bytes)
    try reader.skipBetween()
    let root = try reader.element(depth: 1)
    try reader.skipBetween()
    guard reader.position == bytes.count else { throw reader.error("something follows the end") }
    return root
  }

  private init(_ bytes: [UInt8]) {
    self.bytes = bytes
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
  }

  // MARK: Structure

  /// White space (S3 sends it to keep a connection alive), comments, `<?xml …?>`.
  private mutating func skipBetween() throws(XMLError) {
    while position < bytes.count {
      if Self.isSpace(bytes[position]) {
        position += 1
      } else if !(try skipNote()) {
        return
      }
    }
  }

  /// - Returns: false when neither a comment nor a processing instruction begins here.
  private mutating func skipNote() throws(XMLError) -> Bool {
    if take("<?") {
      _ = try takeThrough("?>")
    } else if take("<!--") {
      _ = try takeThrough("-->")
    } else {
      return false
    }
    return true
  }

  private mutating func element(depth: Int) throws(XMLError) -> XMLElement {
    guard depth <= Self.depthMax else { throw error("elements are nested too deeply") }
    elements += 1
    guard elements <= Self.elementsMax else { throw error("too many elements") }
    guard take("<") else { throw error("an element was expected") }
    let qualifiedName = try name()
    var element = XMLElement(name: Self.localName(qualifiedName))
    try skipAttributes()
    if take("/>") { return element }
    guard take(">") else { throw error("a tag does not end") }
    try readContent(of: &element, depth: depth)
    // `readContent` ends behind `</`.
    guard try name() == qualifiedName else { throw error("the end of <\(qualifiedName)> was expected") }
    skipSpace()
    guard take(">") else { throw error("a tag does not end") }
    return element
  }

  private mutating func readContent(of element: inout XMLElement, depth: Int) throws(XMLError) {
    var text: [UInt8] = []
    while true {
      guard position < bytes.count else { throw error("<\(element.name)> does not end") }
      if take("</") { break }
      if take("<![CDATA[") {
        text += try takeThrough("]]>")
      } else if bytes[position] == UInt8(ascii: "<") {
        if !(try skipNote()) { element.children.append(try self.element(depth: depth + 1)) }
      } else if take("&") {
        text += try entity()
      } else {
        text.append(bytes[position])
        position += 1
      }
    }
    guard let valid = String(validating: text, as: UTF8.self) else { throw error("text that is not UTF-8") }
    element.text = valid
  }

  private mutating func skipAttributes() throws(XMLError) {
    while true {
      skipSpace()
      guard position < bytes.count, bytes[position] != UInt8(ascii: ">"), bytes[position] != UInt8(ascii: "/") else {
        return
      }
      _ = try name()
      skipSpace()
      guard take("=") else { throw error("an attribute without a value") }
      skipSpace()
      guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") || bytes[position] == UInt8(ascii: "'") else {
        throw error("an attribute's value without quotes")
      }
      let quote = bytes[position]
      position += 1
      guard let end = bytes[position...].firstIndex(of: quote) else { throw error("an attribute does not end") }
      guard !bytes[position..<end].contains(UInt8(ascii: "<")) else { throw error("an attribute with a tag in it") }
      position = end + 1
    }
  }

  // MARK: Pieces

  private mutating func name() throws(XMLError) -> String {
    let start = position
    while position < bytes.count, Self.isNameByte(bytes[position]) { position += 1 }
    guard position > start, position - start <= 255 else { throw error("a name was expected") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func entity() throws(XMLError) -> [UInt8] {
    let start = position
    // The longest is &#x10FFFF; with leading zeros perhaps.
    guard let end = bytes[start...].prefix(16).firstIndex(of: UInt8(ascii: ";")),
      let character = XMLText.character(named: String(decoding: bytes[start..<end], as: UTF8.self))
    else { throw error("an unknown entity") }
    position = end + 1
    return Array(String(Character(character)).utf8)
  }

  private mutating func takeThrough(_ mark: String) throws(XMLError) -> ArraySlice<UInt8> {
    let mark = Array(mark.utf8)
    let start = position
    while position + mark.count <= bytes.count {
      if bytes[position..<position + mark.count].elementsEqual(mark) {
        defer { position += mark.count }
        return bytes[start..<position]
      }
      position += 1
    }
    throw error("the document ends too early")
  }

  private mutating func take(_ mark: String) -> Bool {
    guard bytes[position...].starts(with: mark.utf8) else { return false }
    position += mark.utf8.count
    return true
  }

  private mutating func skipSpace() {
    while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
  }

  private func error(_ reason: String) -> XMLError { XMLError(reason: reason, offset: position) }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: ":"), 0x80...:
      true
    default: false
    }
  }

  private static func localName(_ name: String) -> String {
    name.firstIndex(of: ":").map { String(name[name.index(after: $0)...]) } ?? name
  }
}

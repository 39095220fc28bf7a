/// Takes out of texts what nobody else may see: tokens and keys always, names of recordings unless they were asked for.
package struct Redaction {
  private let secrets: [[UInt8]]
  private let names: [(bytes: [UInt8], alias: String)]
  /// Free text is left out as a whole where there are more names than can be looked for one by one.
  package let knowsAllNames: Bool

  /// Two thousand searches through a megabyte of log take about a second.
  private static let namesMax = 2_000
  /// Shorter words are no secrets, and would tear holes into everything.
  private static let secretBytesMin = 4

  /// - Parameters:
  ///   - secrets: contents of token files, keys in the environment.
  ///   - names: paths below mounts; nil leaves names as they are.
  package init(secrets: [String], names: [[UInt8]]?) {
    self.secrets = secrets.map { Array($0.utf8) }.filter { $0.count >= Self.secretBytesMin }
    var aliases: [[UInt8]: String] = [:]
    for path in names ?? [] {
      aliases[path] = Self.alias(path, aliases)
      for part in path.split(separator: UInt8(ascii: "/")) where aliases[Array(part)] == nil {
        aliases[Array(part)] = Self.alias(Array(part), aliases)
      }
    }
    knowsAllNames = aliases.count <= Self.namesMax
    // A name within a longer one must not be found first.
    self.names = aliases.map { ($0.key, $0.value) }.sorted {
      $0.0.count != $1.0.count ? $0.0.count > $1.0.count : $0.0.lexicographicallyPrecedes($1.0)
    }
  }

  /// `name-7.mkv`: the kind of file helps whoever reads, its name does not.
  private static func alias(_ name: [UInt8], _ known: [[UInt8]: String]) -> String {
    let dot = name.lastIndex(of: UInt8(ascii: "."))
    let ending = dot.map { name[($0 + 1)...] } ?? []
    let isPlain = (1...4).contains(ending.count) && ending.allSatisfy { isWordByte($0) && $0 < 0x80 }
    return "name-\(known.count + 1)" + (isPlain ? "." + String(decoding: ending, as: UTF8.self) : "")
  }

  package func alias(of name: [UInt8]) -> String? { names.first { $0.bytes == name }?.alias }

  package func text(_ text: String) -> String {
    var bytes = Array(text.utf8)
    for secret in secrets { bytes = Self.replace(secret, in: bytes, by: "(removed)", asWord: false) }
    for (name, alias) in names { bytes = Self.replace(name, in: bytes, by: alias, asWord: true) }
    return Self.withoutCredentials(String(decoding: bytes, as: UTF8.self))
  }

  /// What looks like a credential, whoever wrote it: bearer tokens, passwords in addresses, parts of signed addresses.
  private static func withoutCredentials(_ text: String) -> String {
    text.replacing(/(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+\/=-]{4,}/) { "\($0.output.1) (removed)" }
      .replacing(/:\/\/[^\/\s@"]+@/, with: "://(removed)@")
      .replacing(/(?i)\b(token|secret|password|signature|credential|key|security-token)=[^\s&"]+/) { "\($0.output.1)=(removed)" }
  }

  private static func replace(_ wanted: [UInt8], in text: [UInt8], by new: String, asWord: Bool) -> [UInt8] {
    guard let first = wanted.first, text.count >= wanted.count else { return text }
    var out: [UInt8] = []
    out.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      let end = index + wanted.count
      if text[index] == first, end <= text.count, text[index..<end].elementsEqual(wanted),
        !asWord || (isEdge(text, index - 1, wanted[0]) && isEdge(text, end, wanted[wanted.count - 1]))
      {
        out += new.utf8
        index = end
      } else {
        out.append(text[index])
        index += 1
      }
    }
    return out
  }

  /// Whether a word ends between this byte and its neighbour.
  private static func isEdge(_ text: [UInt8], _ index: Int, _ neighbour: UInt8) -> Bool {
    !text.indices.contains(index) || !isWordByte(text[index]) || !isWordByte(neighbour)
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    byte >= 0x80 || (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
  }
}

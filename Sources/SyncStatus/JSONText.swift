/// Writes one JSON text, front to back, into a growing array of bytes; the cost is linear in what is written.
///
/// The caller says what opens and closes; commas and escapes are this type's business. Numbers that JSON cannot hold
/// (infinite, not a number) are written as null.
public struct JSONText: Sendable {
  /// UTF-8. A whole JSON text once every `begin` has had its `end`.
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false
  private var depth = 0

  public init() {}

  /// - Parameter name: the member's name; nil for the outermost value and inside arrays.
  public mutating func beginObject(_ name: String? = nil) { begin(name, UInt8(ascii: "{")) }
  public mutating func endObject() { end(UInt8(ascii: "}")) }
  public mutating func beginArray(_ name: String? = nil) { begin(name, UInt8(ascii: "[")) }
  public mutating func endArray() { end(UInt8(ascii: "]")) }

  public mutating func add(_ name: String?, _ value: String) {
    lead(name)
    quote(value)
  }

  /// nil writes null.
  public mutating func add(_ name: String?, optional value: String?) {
    guard let value else { return addNull(name) }
    add(name, value)
  }

  public mutating func add(_ name: String?, _ value: Int64) {
    lead(name)
    bytes += String(value).utf8
  }

  public mutating func add(_ name: String?, _ value: Int) { add(name, Int64(value)) }

  public mutating func add(_ name: String?, _ value: Bool) {
    lead(name)
    bytes += (value ? "true" : "false").utf8
  }

  /// Seconds and the like, with at most three decimals.
  public mutating func add(_ name: String?, _ value: Double) {
    guard value.isFinite, abs(value) < 1e15 else { return addNull(name) }
    lead(name)
    bytes += Decimals.text(value, places: 3).utf8
  }

  /// Adds a member that is JSON already; its own newline at the end is dropped.
  public mutating func add(_ name: String?, json text: String) {
    lead(name)
    var text = text.utf8[...]
    while text.last == UInt8(ascii: "\n") { text.removeLast() }
    bytes += text
  }

  public mutating func addNull(_ name: String?) {
    lead(name)
    bytes += "null".utf8
  }

  /// Ends a line between two JSON texts or two elements; means nothing to a reader of JSON.
  public mutating func newline() {
    bytes.append(UInt8(ascii: "\n"))
    if depth == 0 { needsComma = false }
  }

  private mutating func begin(_ name: String?, _ bracket: UInt8) {
    lead(name)
    bytes.append(bracket)
    needsComma = false
    depth += 1
  }

  private mutating func end(_ bracket: UInt8) {
    precondition(depth > 0, "an end without a begin")
    bytes.append(bracket)
    needsComma = true
    depth -= 1
  }

  private mutating func lead(_ name: String?) {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
    guard let name else { return }
    quote(name)
    bytes.append(UInt8(ascii: ":"))
  }

  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    // Nearly all texts need no escape, and are then copied at once: a list of 100,000 recordings is made of them.
    if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C || $0 == 0x7F }) {
      escape(text)
    } else {
      bytes += text.utf8
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func escape(_ text: String) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case UInt8(ascii: "\n"): bytes += #"\n"#.utf8
      case UInt8(ascii: "\r"): bytes += #"\r"#.utf8
      case UInt8(ascii: "\t"): bytes += #"\t"#.utf8
      case 0..<0x20, 0x7F:
        let digits = Array("0123456789abcdef".utf8)
        bytes += #"\u00"#.utf8
        bytes.append(digits[Int(byte >> 4)])
        bytes.append(digits[Int(byte & 15)])
      default: bytes.append(byte)
      }
    }
  }
}

/// Decimal numbers without exponent and without trailing zeros, so that a shell can use them.
enum Decimals {
  /// `places`: 1...6. Rounded to the nearest; a huge or broken value becomes 0.
  static func text(_ value: Double, places: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "0" }
    var scale: Int64 = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int64(abs(value) * Double(scale) + 0.5)
    var fraction = String(scaled % scale)
    fraction = String(repeating: "0", count: places - fraction.count) + fraction
    while fraction.last == "0" { fraction.removeLast() }
    let sign = value < 0 && scaled > 0 ? "-" : ""
    return sign + String(scaled / scale) + (fraction.isEmpty ? "" : "." + fraction)
  }
}

/// The upload life of one recording: 63 random bits, written `sess_` and sixteen hexadecimal digits.
///
/// The number is also the journal's row id, so neither side ever has to look one up from the other.
public struct SessionID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let number: Int64

  /// - Parameter number: not negative; the sign bit of a random number must be cleared first.
  public init(number: Int64) {
    precondition(number >= 0, "a session number has 63 bits")
    self.number = number
  }

  /// Reads the text form; nil for anything that this type would not have written itself.
  public init?(text: String) {
    guard text.hasPrefix(Self.prefix) else { return nil }
    let digits = text.dropFirst(Self.prefix.count)
    guard digits.count == 16, let number = Int64(digits, radix: 16), number >= 0 else { return nil }
    self.number = number
    guard self.description == text else { return nil }
  }

  public static func random(using generator: inout some RandomNumberGenerator) -> SessionID {
    SessionID(number: Int64.random(in: 0...Int64.max, using: &generator))
  }

  public var description: String {
    let digits = String(number, radix: 16)
    return Self.prefix + String(repeating: "0", count: 16 - digits.count) + digits
  }

  public static func < (left: SessionID, right: SessionID) -> Bool { left.number < right.number }

  static let prefix = "sess_"
}

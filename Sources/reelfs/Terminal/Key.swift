/// A key of the keyboard, as far as `reelfs status --watch` has a use for it.
package enum Key: Sendable, Equatable {
  case character(Character)
  case up, down, pageUp, pageDown, home, end, escape
  /// Ctrl-C, Ctrl-D, Ctrl-\, or a terminal that is gone.
  case quit
  /// Ctrl-Z.
  case suspend

  /// What a terminal sent in one go: characters, and the escape sequences of the VT220 that all terminals speak.
  /// Unknown sequences mean nothing.
  package static func parse(_ bytes: [UInt8]) -> [Key] {
    var keys: [Key] = []
    var rest = bytes[...]
    while let byte = rest.popFirst() {
      switch byte {
      case 3, 4, 28: keys.append(.quit)
      case 26: keys.append(.suspend)
      case 27:
        guard let next = rest.first, next == UInt8(ascii: "[") || next == UInt8(ascii: "O") else {
          keys.append(.escape)
          continue
        }
        rest.removeFirst()
        // Parameters, then one byte from @ to ~ that ends the sequence.
        let parameters = rest.prefix { !(0x40...0x7E).contains($0) }
        rest = rest.dropFirst(parameters.count)
        if let last = rest.popFirst(), let key = key(parameters, last) { keys.append(key) }
      case 32..<127: keys.append(.character(Character(Unicode.Scalar(byte))))
      default: break
      }
    }
    return keys
  }

  private static func key(_ parameters: ArraySlice<UInt8>, _ last: UInt8) -> Key? {
    switch (last, parameters.first) {
    case (UInt8(ascii: "A"), nil): .up
    case (UInt8(ascii: "B"), nil): .down
    case (UInt8(ascii: "H"), nil), (UInt8(ascii: "~"), UInt8(ascii: "1")): .home
    case (UInt8(ascii: "F"), nil), (UInt8(ascii: "~"), UInt8(ascii: "4")): .end
    case (UInt8(ascii: "~"), UInt8(ascii: "5")): .pageUp
    case (UInt8(ascii: "~"), UInt8(ascii: "6")): .pageDown
    default: nil
    }
  }
}

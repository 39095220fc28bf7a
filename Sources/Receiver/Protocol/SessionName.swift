/// A session id as any client may choose it: 1–128 characters `A–Z a–z 0–9 _ -` beginning with `sess_`.
///
/// Wider than `SessionID`, which is what reelfs itself chooses. Safe as a folder's name: no dot, no slash.
struct SessionName: Hashable, Sendable, CustomStringConvertible {
  static let characterCountMax = 128

  let description: String

  init?(_ text: String) {
    let allowed = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    guard allowed, text.utf8.count <= Self.characterCountMax, text.hasPrefix("sess_") else { return nil }
    description = text
  }

  var folderName: EntryName { EntryName(internal: description) }
}

/// A `Range` header, as far as it is supported: one range of bytes.
enum ByteRange: Equatable {
  case from(Int64, through: Int64?)
  case last(Int64)

  /// nil for anything else, several ranges included: the whole is answered then, as RFC 9110 allows.
  init?(header: String?) {
    guard let header, header.hasPrefix("bytes=") else { return nil }
    let ends = header.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2 else { return nil }
    switch (ends[0].isEmpty, ends[1].isEmpty) {
    case (true, false):
      guard let count = Self.number(ends[1]) else { return nil }
      self = .last(count)
    case (false, true):
      guard let start = Self.number(ends[0]) else { return nil }
      self = .from(start, through: nil)
    case (false, false):
      guard let start = Self.number(ends[0]), let end = Self.number(ends[1]), start <= end else { return nil }
      self = .from(start, through: end)
    case (true, true): return nil
    }
  }

  /// The bytes it means of `size`; nil when there are none (416).
  func resolved(size: Int64) -> Range<Int64>? {
    switch self {
    case .from(let start, let end):
      guard start < size else { return nil }
      return start..<min(size, (end ?? size - 1).addingReportingOverflow(1).partialValue)
    case .last(let count):
      guard count > 0, size > 0 else { return nil }
      return max(0, size - count)..<size
    }
  }

  /// Digits only; a number too large for a file counts as the largest.
  private static func number(_ text: Substring) -> Int64? {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return Int64(text) ?? Int64.max - 1
  }
}

/// A set of chunk indexes as one bit each: 128 KiB for a recording of 1 TiB.
public struct ChunkSet: Sendable, Equatable {
  private var words: [UInt64] = []

  public init() {}

  public func contains(_ index: Int) -> Bool {
    let word = index >> 6
    return word < words.count && words[word] & (1 << UInt64(index & 63)) != 0
  }

  public mutating func insert(_ index: Int) {
    let word = index >> 6
    if word >= words.count { words += Array(repeating: 0, count: word + 1 - words.count) }
    words[word] |= 1 << UInt64(index & 63)
  }

  public mutating func remove(_ index: Int) {
    let word = index >> 6
    if word < words.count { words[word] &= ~(1 << UInt64(index & 63)) }
  }

  /// Removes every index from `start` on.
  public mutating func removeAll(from start: Int) {
    let word = start >> 6
    guard word < words.count else { return }
    words[word] &= (1 << UInt64(start & 63)) - 1
    words.removeLast(words.count - word - 1)
  }

  /// The first index in `range` that is not in the set.
  public func firstMissing(in range: Range<Int>) -> Int? {
    var index = range.lowerBound
    while index < range.upperBound {
      let word = index >> 6
      guard word < words.count else { return index }
      let missing = ~words[word] >> UInt64(index & 63)
      if missing != 0 {
        let found = index + missing.trailingZeroBitCount
        return found < range.upperBound ? found : nil
      }
      index = (word + 1) << 6
    }
    return nil
  }

  /// The set as `0-9,12,20-30`; empty for the empty set.
  public var text: String {
    var ranges: [String] = []
    var next = 0
    let end = words.count << 6
    while let start = (next..<end).first(where: contains) {
      let stop = firstMissing(in: start..<end) ?? end
      ranges.append(stop - start == 1 ? "\(start)" : "\(start)-\(stop - 1)")
      next = stop
    }
    return ranges.joined(separator: ",")
  }

  /// Reads what `text` wrote; nil for anything else.
  public init?(text: String) {
    for part in text.split(separator: ",") {
      let bounds = part.split(separator: "-").map { Int($0) }
      guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, bounds.count <= 2, 0 <= first, first <= last,
        last < 1 << 24
      else { return nil }
      for index in first...last { insert(index) }
    }
  }

  public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
  /// Ascending.
  public var indexes: [Int] { (0..<words.count << 6).filter(contains) }
  public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
}

/// The chunks of one session that wait to be sent, as ranges: a million chunks of a long offline recording are one
/// range of 8 bytes, and even every second chunk of them is 4 MB.
package struct PendingRanges: Sendable, Equatable {
  /// `lower..<upper`, 32 bits each: chunk indexes end at `ChunkLayout.indexMax`.
  private struct Run: Sendable, Equatable {
    var lower: UInt32
    var upper: UInt32
  }

  /// Highest first, never touching each other, so that taking the lowest chunk is a removal at the end.
  private var runs: [Run] = []
  package private(set) var count = 0

  package init() {}

  /// - Parameter ranges: any order; may overlap.
  package init(_ ranges: [Range<Int>]) {
    for range in ranges.sorted(by: { $0.lowerBound > $1.lowerBound }) { insert(range) }
  }

  package var isEmpty: Bool { runs.isEmpty }
  package var first: Int? { runs.last.map { Int($0.lower) } }

  /// Ascending.
  package var ranges: [Range<Int>] { runs.reversed().map { Int($0.lower)..<Int($0.upper) } }

  package func contains(_ index: Int) -> Bool {
    let place = firstPlace(startingAtOrBelow: index)
    return place < runs.count && index < Int(runs[place].upper)
  }

  /// The lowest waiting index that is `index` or higher.
  package func first(from index: Int) -> Int? {
    if contains(index) { return index }
    let place = firstPlace(startingAtOrBelow: index)
    return place > 0 ? Int(runs[place - 1].lower) : nil
  }

  /// One past the highest index; 0 when empty.
  package var end: Int { runs.first.map { Int($0.upper) } ?? 0 }

  /// All of `range`; true for an empty one.
  package func contains(_ range: Range<Int>) -> Bool {
    guard !range.isEmpty else { return true }
    let place = firstPlace(startingAtOrBelow: range.lowerBound)
    return place < runs.count && range.upperBound <= Int(runs[place].upper)
  }

  /// Any of `range`.
  package func intersects(_ range: Range<Int>) -> Bool {
    guard !range.isEmpty, let index = first(from: range.lowerBound) else { return false }
    return index < range.upperBound
  }

  /// The lowest index that is `index` or higher, and those that follow it without a gap.
  package func firstRange(from index: Int) -> Range<Int>? {
    guard let lower = first(from: index) else { return nil }
    return lower..<Int(runs[firstPlace(startingAtOrBelow: lower)].upper)
  }

  package mutating func insert(_ index: Int) { insert(index..<index + 1) }

  package mutating func insert(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    // Every run that touches `range` lies between these places; they become one run.
    let start = firstPlace(startingAtOrBelow: range.upperBound)
    var end = start
    var merged = Run(lower: UInt32(range.lowerBound), upper: UInt32(range.upperBound))
    while end < runs.count, runs[end].upper >= UInt32(range.lowerBound) {
      merged.lower = min(merged.lower, runs[end].lower)
      merged.upper = max(merged.upper, runs[end].upper)
      count -= Int(runs[end].upper - runs[end].lower)
      end += 1
    }
    count += Int(merged.upper - merged.lower)
    runs.replaceSubrange(start..<end, with: CollectionOfOne(merged))
  }

  package mutating func remove(_ index: Int) {
    let place = firstPlace(startingAtOrBelow: index)
    guard place < runs.count, index < Int(runs[place].upper) else { return }
    count -= 1
    let run = runs[place]
    let below = Run(lower: run.lower, upper: UInt32(index))
    let above = Run(lower: UInt32(index) + 1, upper: run.upper)
    switch (below.lower < below.upper, above.lower < above.upper) {
    case (false, false): runs.remove(at: place)
    case (true, false): runs[place] = below
    case (false, true): runs[place] = above
    case (true, true): runs.replaceSubrange(place...place, with: [above, below])
    }
  }

  /// Drops every index that is `index` or higher.
  package mutating func removeAll(from index: Int) {
    while let highest = runs.first, Int(highest.upper) > index, Int(highest.lower) >= index {
      count -= Int(highest.upper - highest.lower)
      runs.removeFirst()
    }
    guard let highest = runs.first, Int(highest.upper) > index else { return }
    count -= Int(highest.upper) - index
    runs[0].upper = UInt32(index)
  }

  /// Place of the highest run whose lower bound is `index` or below; `runs.count` if there is none.
  private func firstPlace(startingAtOrBelow index: Int) -> Int {
    var low = 0
    var high = runs.count
    while low < high {
      let middle = (low + high) / 2
      if Int(runs[middle].lower) <= index { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

import Testing
import UploadCore

@Suite("Pending ranges")
struct PendingRangesTests {
  @Test("a million chunks in a row are one range")
  func aRowIsOneRange() {
    var pending = PendingRanges()

    for index in 0..<1_000_000 { pending.insert(index) }

    #expect(pending.ranges == [0..<1_000_000])
    #expect(pending.count == 1_000_000)
  }

  @Test("removing from the middle leaves both sides")
  func removalSplits() {
    var pending = PendingRanges([0..<10])

    pending.remove(4)

    #expect(pending.ranges == [0..<4, 5..<10])
    #expect(!pending.contains(4))
    #expect(pending.first(from: 4) == 5)
  }

  @Test("overlapping and touching ranges become one")
  func rangesMerge() {
    let pending = PendingRanges([8..<10, 0..<3, 3..<5, 2..<8])

    #expect(pending.ranges == [0..<10])
  }

  @Test("does what a set of indexes does", arguments: 0..<20)
  func agreesWithASet(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    var pending = PendingRanges()
    var model: Set<Int> = []

    for _ in 0..<400 {
      let index = Int.random(in: 0..<40, using: &generator)
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<5:
        pending.insert(index)
        model.insert(index)
      case 5:
        let range = index..<index + Int.random(in: 0..<9, using: &generator)
        pending.insert(range)
        model.formUnion(range)
      case 6:
        pending.removeAll(from: index)
        model = model.filter { $0 < index }
      default:
        pending.remove(index)
        model.remove(index)
      }
      #expect(pending.ranges.flatMap { $0 } == model.sorted())
      #expect(pending.count == model.count)
      #expect(pending.isEmpty == model.isEmpty)
      #expect(pending.first == model.min())
      #expect(pending.first(from: index) == model.filter { $0 >= index }.min())
      #expect(pending.contains(index) == model.contains(index))
    }
  }
}

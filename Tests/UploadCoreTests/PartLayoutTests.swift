import Testing
import UploadCore

@Suite("Part layout")
struct PartLayoutTests {
  static let ladder = PartLayout([
    PartLayout.Rung(parts: 3, chunksPerPart: 2), PartLayout.Rung(parts: 2, chunksPerPart: 4),
    PartLayout.Rung(parts: 1, chunksPerPart: 8),
  ])

  @Test("rungs follow each other without a gap, and the last one goes on")
  func ranges() {
    let ranges = (0..<7).map { Self.ladder.chunks(ofPart: $0) }
    #expect(ranges == [0..<2, 2..<4, 4..<6, 6..<10, 10..<14, 14..<22, 22..<30])
  }

  @Test("every chunk belongs to the part whose range holds it")
  func inverse() {
    for chunk in 0..<200 {
      #expect(Self.ladder.chunks(ofPart: Self.ladder.part(of: chunk)).contains(chunk))
    }
  }
}

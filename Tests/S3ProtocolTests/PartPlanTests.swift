import S3Protocol
import Testing
import UploadProtocol

@Suite("parts")
struct PartPlanTests {
  private static let plans = try! [
    PartPlan.growing, .equal(chunks: 5), .equal(chunks: 16), .equal(chunks: 5_120), .equal(holding: 1 << 40),
  ]

  @Test("parts follow each other without a gap, each of whole chunks and of a size that S3 takes", arguments: plans)
  func geometry(plan: PartPlan) {
    var next = 0
    for number in 1...PartPlan.partCountMax {
      let chunks = plan.chunks(ofPart: number)
      #expect(chunks.lowerBound == next)
      let bytes = Int64(chunks.count) * Int64(ChunkLayout.chunkBytes)
      #expect(PartPlan.partBytesMin...PartPlan.partBytesMax ~= bytes)
      #expect(plan.part(ofChunk: chunks.lowerBound) == number)
      #expect(plan.part(ofChunk: chunks.upperBound - 1) == number)
      next = chunks.upperBound
    }
    #expect(plan.chunkCountMax == next)
    #expect(plan.part(ofChunk: next) == nil)
    #expect(plan.part(ofChunk: -1) == nil)
  }

  @Test("growing parts hold every recording there can be, and no larger one is more than 2/1000 of what precedes it")
  func growing() {
    let plan = PartPlan.growing
    #expect(plan.sizeMax >= ChunkLayout.sizeMax)
    #expect(plan.sizeMax >= 5 << 40)
    for number in 1...1_000 { #expect(plan.chunks(ofPart: number).count == PartPlan.defaultPartChunks) }
    for number in 1_001...PartPlan.partCountMax {
      let chunks = plan.chunks(ofPart: number)
      #expect(chunks.count * 1_000 <= 2 * chunks.lowerBound)
    }
  }

  @Test("equal parts are as large as the longest recording expected needs them to be")
  func equal() throws {
    #expect(try PartPlan.equal(holding: 0) == .equal(chunks: 16))
    #expect(try PartPlan.equal(holding: 160_000 << 20) == .equal(chunks: 16))
    #expect(try PartPlan.equal(holding: 160_000 << 20 + 1) == .equal(chunks: 17))
    let tebibyte = try PartPlan.equal(holding: 1 << 40)
    #expect(tebibyte == (try .equal(chunks: 105)))
    #expect(tebibyte.sizeMax >= 1 << 40)
    #expect(try PartPlan.equal(holding: ChunkLayout.sizeMax).sizeMax >= ChunkLayout.sizeMax)
    #expect(throws: PartPlanError.partSize(chunks: 4, allowed: 5...5_120)) { try PartPlan.equal(chunks: 4) }
    #expect(throws: PartPlanError.self) { try PartPlan.equal(holding: 60 << 40) }
  }

  @Test(
    "a recording of up to one part is one object, also an empty one; a longer one has parts that add up to it",
    arguments: plans)
  func sizes(plan: PartPlan) throws {
    let partBytes = Int64(plan.chunks(ofPart: 1).count) * Int64(ChunkLayout.chunkBytes)
    #expect(plan.upload(ofSize: 0) == .object)
    #expect(plan.upload(ofSize: 1) == .object)
    #expect(plan.upload(ofSize: partBytes) == .object)
    #expect(plan.upload(ofSize: partBytes + 1) == .parts(count: 2))
    #expect(plan.upload(ofSize: plan.sizeMax) == .parts(count: PartPlan.partCountMax))
    #expect(plan.upload(ofSize: plan.sizeMax + 1) == nil)
    #expect(plan.upload(ofSize: -1) == nil)
    var generator = Generator(seed: 3)
    for _ in 0..<50 {
      let longest = plan.sizeMax >> Int64.random(in: 0...4, using: &generator)
      let size = Int64.random(in: partBytes + 1...longest, using: &generator)
      guard case .parts(let count) = plan.upload(ofSize: size) else {
        Issue.record("\(size) bytes need parts")
        continue
      }
      let parts = (1...count).map { plan.bytes(ofPart: $0, size: size) }
      #expect(parts.first?.lowerBound == 0 && parts.last?.upperBound == size)
      #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
      #expect(parts.dropLast().allSatisfy { $0.upperBound - $0.lowerBound >= PartPlan.partBytesMin })
      #expect(!(parts.last?.isEmpty ?? true))
      if count < PartPlan.partCountMax { #expect(plan.bytes(ofPart: count + 1, size: size).isEmpty) }
    }
  }

  @Test("part 1 waits for the end of the recording, every other until it is whole")
  func holdingBack() {
    let plan = PartPlan.growing
    let part = Int64(16 << 20)
    #expect(!plan.isReady(1, size: 100 * part))
    #expect(!plan.isReady(2, size: 2 * part - 1))
    #expect(plan.isReady(2, size: 2 * part))
    #expect(!plan.isReady(3, size: 2 * part))
  }
}

import UploadProtocol

/// How a recording's chunks make the parts of a multipart upload: known before the recording's size is.
///
/// Part n is always the same run of chunks, so a rewritten chunk changes one part and moves none. Part 1 is held back
/// until the recording is closed: recorders rewrite its header then, and parts may arrive in any order.
package struct PartPlan: Sendable, Equatable {
  package enum Shape: Sendable, Equatable {
    /// 1,000 parts of 16 MiB, then 1,000 of twice that, and so on up to 4 GiB: no larger part is ever more than two
    /// thousandths of what was recorded before it, and 10,000 parts hold every recording there can be.
    case growing
    /// All parts but the last have so many chunks, as Cloudflare R2 wants it.
    case equal(chunks: Int)
  }

  /// Highest part number of S3.
  package static let partCountMax = 10_000
  /// Of every part but the last; checked by servers only when it is too late, at complete.
  package static let partBytesMin: Int64 = 5 << 20
  package static let partBytesMax: Int64 = 5 << 30
  /// 16 MiB.
  package static let defaultPartChunks = 16

  /// Parts of one size before it doubles.
  private static let partsPerStep = 1_000
  /// The last doubling gives 4 GiB: the next one would be more than `partBytesMax`.
  private static let doublingsMax = 8

  package let shape: Shape

  package static let growing = PartPlan(shape: .growing)

  private init(shape: Shape) { self.shape = shape }

  /// Parts of one size: 16 MiB, or as large as 10,000 of them must be to hold a recording of `size` bytes.
  /// - Throws: when parts would have to be larger than S3 takes.
  package static func equal(holding size: Int64) throws(PartPlanError) -> PartPlan {
    let count = ChunkLayout.chunkCount(size: max(0, size))
    let chunks = max(defaultPartChunks, (count + partCountMax - 1) / partCountMax)
    return try equal(chunks: chunks)
  }

  package static func equal(chunks: Int) throws(PartPlanError) -> PartPlan {
    let range = Int(partBytesMin) / ChunkLayout.chunkBytes...Int(partBytesMax) / ChunkLayout.chunkBytes
    guard range.contains(chunks) else { throw .partSize(chunks: chunks, allowed: range) }
    return PartPlan(shape: .equal(chunks: chunks))
  }

  // MARK: Parts and chunks

  /// The chunks of part `number` (1...`partCountMax`) in a recording that is long enough.
  package func chunks(ofPart number: Int) -> Range<Int> {
    precondition(1...Self.partCountMax ~= number, "parts are numbered from 1 to \(Self.partCountMax)")
    switch shape {
    case .equal(let chunks): return (number - 1) * chunks..<number * chunks
    case .growing:
      let step = min((number - 1) / Self.partsPerStep, Self.doublingsMax)
      let size = Self.defaultPartChunks << step
      let start = Self.start(ofStep: step) + (number - 1 - step * Self.partsPerStep) * size
      return start..<start + size
    }
  }

  /// The part that chunk `index` belongs to; nil when the recording has grown past what 10,000 parts hold.
  package func part(ofChunk index: Int) -> Int? {
    guard 0..<chunkCountMax ~= index else { return nil }
    switch shape {
    case .equal(let chunks): return index / chunks + 1
    case .growing:
      var step = Self.doublingsMax
      while Self.start(ofStep: step) > index { step -= 1 }
      return step * Self.partsPerStep + (index - Self.start(ofStep: step)) / (Self.defaultPartChunks << step) + 1
    }
  }

  /// Chunks before the first part of a step: 1,000 · 16 · (1 + 2 + 4 + …).
  private static func start(ofStep step: Int) -> Int { partsPerStep * defaultPartChunks * ((1 << step) - 1) }

  /// Chunks that 10,000 parts hold.
  package var chunkCountMax: Int { chunks(ofPart: Self.partCountMax).upperBound }

  /// Bytes of the longest recording that this plan can upload: no less than `ChunkLayout.sizeMax` for `.growing`.
  package var sizeMax: Int64 { Int64(chunkCountMax) * Int64(ChunkLayout.chunkBytes) }

  // MARK: A recording of known size

  /// How a recording of `size` bytes is sent; nil when it is longer than `sizeMax`.
  package func upload(ofSize size: Int64) -> Upload? {
    guard 0...sizeMax ~= size else { return nil }
    let chunkCount = ChunkLayout.chunkCount(size: size)
    guard chunkCount > chunks(ofPart: 1).count, let last = part(ofChunk: chunkCount - 1) else { return .object }
    return .parts(count: last)
  }

  package enum Upload: Sendable, Equatable {
    /// It fits one part (it may be empty): one PUT of the whole object.
    case object
    case parts(count: Int)
  }

  /// The bytes of part `number` in a recording of `size` bytes; empty past its end.
  package func bytes(ofPart number: Int, size: Int64) -> Range<Int64> {
    let chunks = chunks(ofPart: number)
    let start = min(size, Int64(chunks.lowerBound) * Int64(ChunkLayout.chunkBytes))
    return start..<min(size, Int64(chunks.upperBound) * Int64(ChunkLayout.chunkBytes))
  }

  /// Whether a part waits for the end of the recording, whatever has been recorded of it.
  package func isHeldBack(_ number: Int) -> Bool { number == 1 }

  /// Whether part `number` can be sent while the recording goes on, once it is `size` bytes long and all is sealed: it is
  /// whole, not held back, and not the last, whose size may still change.
  package func isReady(_ number: Int, size: Int64) -> Bool {
    !isHeldBack(number) && Int64(chunks(ofPart: number).upperBound) * Int64(ChunkLayout.chunkBytes) <= size
  }
}

package enum PartPlanError: Error, Equatable, Sendable, CustomStringConvertible {
  case partSize(chunks: Int, allowed: ClosedRange<Int>)

  package var description: String {
    switch self {
    case .partSize(let chunks, let allowed):
      "parts of \(chunks) MiB cannot be: S3 takes \(allowed.lowerBound) to \(allowed.upperBound) MiB, and 10,000 of them"
    }
  }
}

/// In what pieces a destination takes recordings. The destination declares it; the scheduler plans transfers by it.
public enum TransferGeometry: Sendable, Equatable {
  /// The chunk protocol, and folders: one chunk a request, in any order, each may be replaced at any time.
  case chunks
  /// S3: parts of fixed runs of chunks, in any order. The first part waits until the recording is closed, because
  /// recorders go back to it. A part with one changed chunk is sent again as a whole. A recording of up to
  /// `wholeChunksMax` chunks that closes before anything of it was sent travels as one request.
  case parts(PartLayout, wholeChunksMax: Int)
  /// tus: bytes are appended, one request at a time for each recording, at most `runChunksMax` chunks in each. The first
  /// `headChunks` chunks travel with the completion. `waitsForClose`: the length must be known before the first byte.
  case appended(headChunks: Int, runChunksMax: Int, waitsForClose: Bool)
  /// Not known before the destination has answered once: nothing but probes is sent.
  case undiscovered
}

/// How a recording is cut into parts: runs of chunks, in rungs of growing length, because the number of parts is limited.
public struct PartLayout: Sendable, Equatable {
  public struct Rung: Sendable, Equatable {
    public let parts: Int
    public let chunksPerPart: Int

    public init(parts: Int, chunksPerPart: Int) {
      self.parts = parts
      self.chunksPerPart = chunksPerPart
    }
  }

  public let rungs: [Rung]

  /// - Parameter rungs: not empty, all counts positive; the last one goes on for ever.
  public init(_ rungs: [Rung]) {
    precondition(!rungs.isEmpty && rungs.allSatisfy { $0.parts > 0 && $0.chunksPerPart > 0 })
    self.rungs = rungs
  }

  /// Parts of one length.
  public init(chunksPerPart: Int) { self.init([Rung(parts: 1, chunksPerPart: chunksPerPart)]) }

  /// The part that chunk `index` belongs to, from 0.
  public func part(of index: Int) -> Int {
    var (firstPart, firstChunk) = (0, 0)
    for (place, rung) in rungs.enumerated() {
      let chunks = rung.parts * rung.chunksPerPart
      if index < firstChunk + chunks || place == rungs.count - 1 {
        return firstPart + (index - firstChunk) / rung.chunksPerPart
      }
      firstPart += rung.parts
      firstChunk += chunks
    }
    preconditionFailure("there is always a last rung")
  }

  /// The chunks of part `part` (from 0) in an endless recording.
  public func chunks(ofPart part: Int) -> Range<Int> {
    var (firstPart, firstChunk) = (0, 0)
    for (place, rung) in rungs.enumerated() {
      if part < firstPart + rung.parts || place == rungs.count - 1 {
        let start = firstChunk + (part - firstPart) * rung.chunksPerPart
        return start..<start + rung.chunksPerPart
      }
      firstPart += rung.parts
      firstChunk += rung.parts * rung.chunksPerPart
    }
    preconditionFailure("there is always a last rung")
  }
}

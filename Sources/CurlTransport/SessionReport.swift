import UploadCore
import UploadProtocol

/// What a receiver says of a session (docs/PROTOCOL.md), as JSON and as values.
struct SessionReport: Decodable {
  let sessionId: String
  let state: String
  let size: Int64
  let chunks: [Chunk]
  let next: Int?
  let chain: String?
  let stored: Whole?

  struct Chunk: Decodable {
    let index: Int
    let version: UInt32
    let bytes: Int
    let sha256: String
    let stored: Found?
  }

  struct Found: Decodable {
    let bytes: Int?
    let sha256: String?
  }

  struct Whole: Decodable {
    let size: Int64?
    let chain: String?
  }
}

extension SessionReport {
  /// - Parameter depth: what was asked for.
  /// - Returns: nil for an answer about another session, or one that a receiver does not give.
  func page(of session: SessionID, from index: Int, depth: ListingDepth) -> ListedPage? {
    guard sessionId == session.description, size >= 0, next.map({ $0 > index }) ?? true else { return nil }
    var listed: [ListedChunk] = []
    listed.reserveCapacity(chunks.count)
    for chunk in chunks {
      // Ascending, and within the page that was asked for.
      guard chunk.index > listed.last?.index ?? index - 1, chunk.index <= ChunkLayout.indexMax, chunk.version > 0,
        1...ChunkLayout.chunkBytes ~= chunk.bytes, let digest = ChunkDigest(hex: chunk.sha256)
      else { return nil }
      // An older receiver ignores the question: then its answer must not pass for one about the bytes.
      if depth == .bytes, chunk.stored == nil { return nil }
      listed.append(
        ListedChunk(
          index: chunk.index, version: ChunkVersion(chunk.version), bytes: chunk.bytes, digest: digest,
          stored: Self.bytes(chunk.stored)))
    }
    return ListedPage(
      chunks: listed, next: next, isComplete: state == "complete", size: size,
      chain: chain.flatMap { ChunkDigest(hex: $0) },
      stored: stored.map {
        ListedPage.StoredWhole(size: $0.size, chain: $0.chain.flatMap { ChunkDigest(hex: $0) })
      })
  }

  private static func bytes(_ found: Found?) -> ListedChunk.StoredBytes {
    guard let found else { return .notRead }
    guard let bytes = found.bytes, let digest = found.sha256.flatMap({ ChunkDigest(hex: $0) }) else { return .missing }
    return .found(bytes: bytes, digest: digest)
  }
}

extension HTTPAnswer {
  /// The first page of an announcement's answer, or a page that was asked for.
  func listedPage(of session: SessionID, from index: Int, depth: ListingDepth) -> ListedPage? {
    guard status == 200 else { return nil }
    return decoded(SessionReport.self)?.page(of: session, from: index, depth: depth)
  }
}

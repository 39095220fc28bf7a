import S3Protocol
package import UploadCore
import UploadProtocol

/// Fetches chunks of completed recordings back from an S3 store, one at a time. Any thread may call it; it blocks.
package final class S3Fetcher: Sendable {
  private let client: BlockingS3Client

  package init(_ store: S3Store, clock: any MonotonicClock, stallTimeout: Span) {
    client = BlockingS3Client(store, clock: clock, stallTimeout: stallTimeout)
  }

  /// The bytes of a chunk of the object that was completed last, unchecked: the caller knows the digest.
  /// - Parameter remote: what the journal remembers of the session.
  package func fetch(_ chunk: ChunkID, remote: [String: String]) throws(FetchError) -> [UInt8] {
    guard let object = S3Memory(remote).object else { throw FetchError("no object is known to hold it", isFinal: true) }
    let start = Int64(chunk.index) * Int64(ChunkLayout.chunkBytes)
    let end = min(object.size, start + Int64(ChunkLayout.chunkBytes))
    guard start < end else { throw FetchError("the object ends before chunk \(chunk.index)", isFinal: true) }
    // Of whatever object is there now: the journal may be older than it (an answer or a power cut), and evicted bytes are
    // the same in both. The digest decides.
    let request = S3Request.getObject(object.key, range: start..<end)
    return try client.answer(to: request) { answer, reader throws(S3Refusal) in try reader.bytes(answer, range: start..<end) }
  }
}

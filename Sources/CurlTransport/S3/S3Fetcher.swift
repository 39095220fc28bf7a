import S3Protocol
import Synchronization
package import UploadCore
import UploadProtocol

/// Fetches chunks of completed recordings back from an S3 store, one at a time. Any thread may call it; it blocks.
package final class S3Fetcher: Sendable {
  private let store: S3Store
  private let stallTimeout: Span
  private let client: BlockingClient
  /// Belongs to whoever holds the lock.
  private let caller: Mutex<Caller>

  private struct Caller: @unchecked Sendable {
    let caller: S3Caller
  }

  private static let attemptsMax = 3

  package init(_ store: S3Store, clock: any MonotonicClock, stallTimeout: Span) {
    self.store = store
    self.stallTimeout = stallTimeout
    client = BlockingClient(caFile: store.caFile, noProxy: store.noProxy, clock: clock, stallTimeout: stallTimeout)
    caller = Mutex(Caller(caller: S3Caller(store)))
  }

  /// The bytes of a chunk of the object that was completed last, unchecked: the caller knows the digest.
  /// - Parameter remote: what the journal remembers of the session.
  package func fetch(_ chunk: ChunkID, remote: [String: String]) throws(FetchError) -> [UInt8] {
    guard let object = S3Memory(remote).object else { throw FetchError("no object is known to hold it", isFinal: true) }
    let start = Int64(chunk.index) * Int64(ChunkLayout.chunkBytes)
    let end = min(object.size, start + Int64(ChunkLayout.chunkBytes))
    guard start < end else { throw FetchError("the object ends before chunk \(chunk.index)", isFinal: true) }
    let request = S3Request.getObject(object.key, range: start..<end, ifMatch: object.etag.isEmpty ? nil : object.etag)
    var last = FetchError("it was not tried")
    for _ in 0..<Self.attemptsMax {
      do throws(FetchError) { return try attempt(request, start..<end) } catch {
        if error.isFinal { throw error }
        last = error
      }
    }
    throw last
  }

  private func attempt(_ request: S3Request, _ range: Range<Int64>) throws(FetchError) -> [UInt8] {
    let (http, reader) = caller.withLock { state in
      (state.caller.signed(request, stallTimeout: stallTimeout), state.caller.reader)
    }
    let answer = S3Answer(try client.answer(to: http))
    do throws(S3Refusal) { return try reader.bytes(answer, range: range) } catch {
      let mayTryAgain = caller.withLock { $0.caller.learn(from: error, answer) } || answer.status >= 500
      throw FetchError(error.words, isFinal: !mayTryAgain, isMissing: error.meaning == .objectMissing)
    }
  }
}

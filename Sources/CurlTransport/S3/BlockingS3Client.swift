import S3Protocol
import Synchronization
import UploadCore

/// One signed request at a time, waited for. Any thread may call it.
final class BlockingS3Client: Sendable {
  private let stallTimeout: Span
  private let client: BlockingClient
  /// Belongs to whoever holds the lock.
  private let caller: Mutex<Caller>

  private struct Caller: @unchecked Sendable {
    let caller: S3Caller
  }

  /// One more for each thing that can be learned: time, region, keys.
  private static let attemptsMax = 3

  init(_ store: S3Store, clock: any MonotonicClock, stallTimeout: Span) {
    self.stallTimeout = stallTimeout
    client = BlockingClient(caFile: store.caFile, noProxy: store.noProxy, clock: clock, stallTimeout: stallTimeout)
    caller = Mutex(Caller(caller: S3Caller(store)))
  }

  /// What `read` makes of the answer.
  func answer<Value>(
    to request: S3Request, read: (S3Answer, S3AnswerReader) throws(S3Refusal) -> Value
  ) throws(FetchError) -> Value {
    var last = FetchError("it was not tried")
    for _ in 0..<Self.attemptsMax {
      do throws(FetchError) { return try attempt(request, read) } catch {
        if error.isFinal { throw error }
        last = error
      }
    }
    throw last
  }

  private func attempt<Value>(
    _ request: S3Request, _ read: (S3Answer, S3AnswerReader) throws(S3Refusal) -> Value
  ) throws(FetchError) -> Value {
    let (http, reader) = caller.withLock { state in
      (state.caller.signed(request, stallTimeout: stallTimeout), state.caller.reader)
    }
    let answer = S3Answer(try client.answer(to: http))
    do throws(S3Refusal) { return try read(answer, reader) } catch {
      let mayTryAgain = caller.withLock { $0.caller.learn(from: error, answer) } || answer.status >= 500
      throw FetchError(error.words, isFinal: !mayTryAgain, isMissing: error.meaning == .objectMissing)
    }
  }
}

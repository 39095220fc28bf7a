import Synchronization
import UploadCore

/// One HTTP request at a time, waited for, over one kept connection. Any thread may call it.
final class BlockingClient: Sendable {
  private let configuration: HTTPEngine.Configuration
  private let clock: any MonotonicClock
  /// Used by whoever holds the lock.
  private let state = Mutex(State())

  private struct State: @unchecked Sendable {
    // The engine is used by one thread at a time: the one that holds the lock.
    var engine: HTTPEngine?
    var nextID: UInt64 = 1
  }

  init(caFile: String?, noProxy: String?, clock: any MonotonicClock, stallTimeout: Span) {
    configuration = HTTPEngine.Configuration(
      parallel: 1, unacknowledgedMax: stallTimeout, caFile: caFile, noProxy: noProxy)
    self.clock = clock
  }

  func answer(to request: HTTPRequest) throws(FetchError) -> HTTPAnswer {
    switch try result(of: request) {
    case .answered(let answer): return answer
    case .failed(_, let words): throw FetchError(words)
    case .stalled: throw FetchError("no byte moved for \(request.stallTimeout.nanoseconds / 1_000_000_000) s")
    case .endless: throw FetchError("the answer is longer than \(HTTPAnswer.bytesMax) bytes", isFinal: true)
    }
  }

  private func result(of request: HTTPRequest) throws(FetchError) -> HTTPResult {
    let result = state.withLock { state -> HTTPResult? in
      if state.engine == nil { state.engine = try? HTTPEngine(configuration, clock: clock) }
      guard let engine = state.engine else { return nil }
      let id = TransferID(state.nextID)
      state.nextID += 1
      engine.start(id, request)
      // Ends with the request, which ends with its stall timeout at the latest.
      while true {
        for case .finished(id, let result) in engine.poll(until: nil) { return result }
      }
    }
    guard let result else { throw FetchError("libcurl could not be initialised") }
    return result
  }
}

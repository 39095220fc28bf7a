package import UploadCore

/// Speaks to one destination that takes other pieces than chunks: tus, S3.
package protocol ConversingDestination {
  /// Beginning of every address there, for the sentences.
  var address: String { get }
  /// Begins what one transfer asks for. Bytes are read here.
  mutating func begin(_ payload: ExchangePayload, bytesPerSecondMax: Int?) -> ConversationStep
}

/// What a conversation does next.
package enum ConversationStep {
  /// Send this, and give the result to the closure.
  case send(HTTPRequest, then: (HTTPResult) -> ConversationStep)
  /// It is over.
  case end(TransferOutcome)
  /// It is over, and has shown in what pieces the destination takes recordings.
  case discovered(TransferGeometry, TransferOutcome)
}

/// Carries conversations over one HTTP engine: each transfer is a few requests, one after the other.
///
/// Belongs to one thread; other threads end its wait with `wakeHandle.wake()`.
package final class ConversationTransport<Destination: ConversingDestination>: UploadTransport {
  package var wakeHandle: WakeHandle { engine.wakeHandle }

  private var destination: Destination
  private let engine: HTTPEngine
  private var conversations: [TransferID: Conversation] = [:]
  /// Ended without a request; told by the next poll.
  private var ended: [UploadEvent] = []

  private struct Conversation {
    let then: (HTTPResult) -> ConversationStep
    /// Requests so far.
    var count: Int
  }

  /// Requests of one transfer: none needs more than a handful, and a server must not keep one busy for ever.
  private static var requestsMax: Int { 32 }

  package init(
    _ destination: Destination, policy: UploadPolicy, caFile: String?, noProxy: String?, clock: any MonotonicClock
  ) throws(DestinationError) {
    self.destination = destination
    engine = try HTTPEngine(
      HTTPEngine.Configuration(
        parallel: policy.parallel, unacknowledgedMax: policy.uploadTimeout, caFile: caFile, noProxy: noProxy),
      clock: clock)
  }

  package func start(_ transfer: Transfer, _ payload: ExchangePayload) {
    take(destination.begin(payload, bytesPerSecondMax: transfer.bytesPerSecondMax), transfer.id, count: 0)
  }

  package func cancel(_ id: TransferID) {
    conversations[id] = nil
    ended.removeAll { if case .transferred(id, _) = $0 { true } else { false } }
    engine.cancel(id)
  }

  package func poll(until deadline: Instant?) -> [UploadEvent] {
    var events = takeEnded()
    // What has ended already is news enough: only look.
    for event in engine.poll(until: events.isEmpty ? deadline : Instant(nanoseconds: .min)) {
      switch event {
      case .progressed(let id, let bytes): events.append(.progressed(id, bytes: bytes))
      case .finished(let id, let result):
        guard let conversation = conversations.removeValue(forKey: id) else { continue }
        // Between two requests of a transfer bytes moved too.
        events.append(.progressed(id, bytes: 0))
        take(conversation.then(result), id, count: conversation.count)
      }
    }
    return events + takeEnded()
  }

  private func takeEnded() -> [UploadEvent] {
    defer { ended = [] }
    return ended
  }

  private func take(_ step: ConversationStep, _ id: TransferID, count: Int) {
    switch step {
    case .send where count >= Self.requestsMax:
      ended.append(.transferred(id, .retryable("\(destination.address) needs more requests than make sense", after: nil)))
    case .send(let request, let then):
      conversations[id] = Conversation(then: then, count: count + 1)
      engine.start(id, request)
    case .end(let outcome): ended.append(.transferred(id, outcome))
    case .discovered(let geometry, let outcome): ended += [.discovered(geometry), .transferred(id, outcome)]
    }
  }
}

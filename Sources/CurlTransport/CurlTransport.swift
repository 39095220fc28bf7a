public import UploadCore

/// Carries uploads to a receiver of the chunk protocol over libcurl.
///
/// Belongs to one thread, which alone may call it; other threads end its wait with `wakeHandle.wake()`. One multi handle,
/// HTTP/1.1, connections reused, at most `policy.parallel` requests at once (the scheduler keeps to it).
///
/// `.progressed` is reported at most four times a second a transfer, whenever bytes move; for completing, also while the
/// receiver is silent within its longer timeout.
public final class CurlTransport: UploadTransport {
  public typealias Payload = UploadPayload

  /// Ends a `poll` early; may be kept and used by any thread.
  public var wakeHandle: WakeHandle { engine.wakeHandle }

  private let destination: ChunkDestination
  private let requests: ChunkRequests
  private let engine: HTTPEngine
  /// What each request in flight carried, to judge its answer by.
  private var sent: [TransferID: UploadPayload] = [:]

  /// - Parameters:
  ///   - policy: `parallel` and `uploadTimeout` are used; completing gets five times that timeout.
  ///   - clock: the one whose instants `poll(until:)` gets.
  public init(
    destination: ChunkDestination, policy: UploadPolicy, clock: any MonotonicClock
  ) throws(DestinationError) {
    self.destination = destination
    self.requests = ChunkRequests(destination, uploadTimeout: policy.uploadTimeout)
    self.engine = try HTTPEngine(
      HTTPEngine.Configuration(
        parallel: policy.parallel, unacknowledgedMax: policy.uploadTimeout, caFile: destination.caFile,
        noProxy: destination.noProxy),
      clock: clock)
  }

  public func start(_ transfer: Transfer, _ payload: UploadPayload) {
    sent[transfer.id] = payload
    engine.start(transfer.id, requests.request(for: payload, bytesPerSecondMax: transfer.bytesPerSecondMax))
  }

  public func cancel(_ id: TransferID) {
    sent[id] = nil
    engine.cancel(id)
  }

  public func poll(until deadline: Instant?) -> [UploadEvent] {
    engine.poll(until: deadline).compactMap { event in
      switch event {
      case .progressed(let id, let bytes):
        return .progressed(id, bytes: bytes)
      case .finished(let id, let result):
        guard let payload = sent.removeValue(forKey: id) else { return nil }
        let outcome = OutcomeTable.outcome(of: result, for: payload, at: destination.baseURL)
        return .transferred(id, outcome)
      }
    }
  }
}

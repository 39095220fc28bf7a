public import UploadCore
public import UploadProtocol

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
  private var sent: [TransferID: Sent] = [:]
  /// Where the page begins that was asked for last, of announcements whose answer goes on.
  private var listedFrom: [TransferID: Int] = [:]
  private let onListed: (SessionID, [ListedChunk]) -> Void
  private let compression: ChunkCompression?
  private let onUncompressed: (String) -> Void

  private struct Sent {
    let payload: UploadPayload
    let bytesPerSecondMax: Int?
    /// Length of the frame that a chunk was compressed to; nil: it travels as it is.
    var frameBytes: Int?
  }

  /// - Parameters:
  ///   - onListed: gets, page by page, what the destination holds of a session whose announcement wants to know; always
  ///     before `.announced` is reported.
  ///   - onUncompressed: gets a sentence when the receiver turns out not to take compressed chunks.
  ///   - policy: `parallel` and `uploadTimeout` are used; completing gets five times that timeout.
  ///   - clock: the one whose instants `poll(until:)` gets.
  public init(
    destination: ChunkDestination, policy: UploadPolicy, clock: any MonotonicClock,
    onListed: @escaping (SessionID, [ListedChunk]) -> Void = { _, _ in },
    onUncompressed: @escaping (String) -> Void = { _ in }
  ) throws(DestinationError) {
    self.onListed = onListed
    self.onUncompressed = onUncompressed
    self.compression = destination.compresses == .zstd ? ChunkCompression() : nil
    self.destination = destination
    self.requests = ChunkRequests(destination, uploadTimeout: policy.uploadTimeout)
    self.engine = try HTTPEngine(
      HTTPEngine.Configuration(
        parallel: policy.parallel, unacknowledgedMax: policy.uploadTimeout, caFile: destination.caFile,
        noProxy: destination.noProxy),
      clock: clock)
  }

  public func start(_ transfer: Transfer, _ payload: UploadPayload) {
    var frame: [UInt8]?
    switch payload {
    case .chunk(let chunk): frame = compression?.frame(for: chunk)
    case .probe: destination.token.refresh()
    case .announce, .complete, .recordings: break
    }
    sent[transfer.id] = Sent(
      payload: payload, bytesPerSecondMax: transfer.bytesPerSecondMax, frameBytes: frame?.count)
    engine.start(
      transfer.id, requests.request(for: payload, frame: frame, bytesPerSecondMax: transfer.bytesPerSecondMax))
  }

  public func cancel(_ id: TransferID) {
    sent[id] = nil
    listedFrom[id] = nil
    engine.cancel(id)
  }

  public func poll(until deadline: Instant?) -> [UploadEvent] {
    engine.poll(until: deadline).compactMap { event in
      switch event {
      case .progressed(let id, let bytes):
        return .progressed(id, bytes: bytes)
      case .finished(let id, let result):
        guard let request = sent.removeValue(forKey: id) else { return nil }
        if goesOn(id, result, request) || sendsPlain(id, result, request) { return nil }
        let outcome = OutcomeTable.outcome(of: result, for: request.payload, at: destination.baseURL)
        return .transferred(id, Self.counting(request.frameBytes, in: outcome))
      }
    }
  }

  /// What a limit counts is what was on the wire.
  private static func counting(_ frameBytes: Int?, in outcome: TransferOutcome) -> TransferOutcome {
    guard let frameBytes, case .stored(let version, let digest, _) = outcome else { return outcome }
    return .stored(version, digest, bytes: frameBytes)
  }

  /// A compressed chunk that the receiver could not read is sent again as it is, within the same transfer.
  private func sendsPlain(_ id: TransferID, _ result: HTTPResult, _ request: Sent) -> Bool {
    guard request.frameBytes != nil, let compression, case .answered(let answer) = result else { return false }
    let wasRefused = compression.isRefused
    guard compression.mustSendPlain(answer) else { return false }
    if compression.isRefused, !wasRefused {
      onUncompressed("\(destination.baseURL) does not take zstd: chunks are sent as they are until the mount is started again")
    }
    sent[id] = Sent(payload: request.payload, bytesPerSecondMax: request.bytesPerSecondMax)
    engine.start(id, requests.request(for: request.payload, bytesPerSecondMax: request.bytesPerSecondMax))
    return true
  }

  /// Hands on what an announcement's answer lists, and asks for the next page if there is one: the announcement lasts until
  /// the last of them. A page that cannot be had ends it as that request ended.
  private func goesOn(_ id: TransferID, _ result: HTTPResult, _ request: Sent) -> Bool {
    let from = listedFrom.removeValue(forKey: id) ?? 0
    guard case .announce(let announcement) = request.payload, announcement.wantsListing, case .answered(let answer) = result,
      let page = answer.listedPage(of: announcement.session, from: from, depth: .catalog)
    else { return false }
    onListed(announcement.session, page.chunks)
    guard let next = page.next else { return false }
    listedFrom[id] = next
    sent[id] = request
    engine.start(id, requests.listing(of: announcement.session, from: next))
    return true
  }
}

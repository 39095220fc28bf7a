import UploadCore
import UploadProtocol

/// What becomes of requests.
extension SimulatedWorld {
  func start(_ transfer: Transfer, _ payload: SimulatedPayload) {
    note("→ \(transfer.id.number) \(transfer.request)", Int64(transfer.id.number))
    checker.started(
      transfer, payload, among: active, carriedMax: destination.carriedMax, policy: policy, at: now)
    active.append(ActiveRequest(transfer: transfer, payload: payload))
    if destination.kind != .chunks {
      let exchange: SimulatedExchange? = if case .exchange(let exchange) = payload { exchange } else { nil }
      return begin(exchange, transfer.id)
    }
    guard isReachable else {
      if !isBlackHole { schedule(.answer(transfer.id, .unreachable("refused")), after: latency()) }
      return
    }
    let there = latency() + transmission(of: payload.bytes, transfer.id)
    guard let fate = fate(of: payload) else {
      return schedule(.arrival(payload, answering: transfer.id, after: latency()), after: there)
    }
    meet(fate, transfer, payload, there)
  }

  /// One uplink for all: a slow one delivers in the order of starting, and moves some bytes of each all the time.
  func transmission(of bytes: Int, _ id: TransferID) -> Span {
    guard let rate = weights.bytesPerSecond, !isHealed, bytes > 0 else { return .zero }
    let time = Span(nanoseconds: Int64(bytes) * 1_000_000_000 / Int64(rate))
    linkFreeAt = max(linkFreeAt, now) + time
    schedule(.progress(id, until: linkFreeAt), after: .seconds(10))
    return linkFreeAt - now
  }

  func drawFate() -> Weights.Fate? {
    guard !isHealed, generator.percent(weights.faultPercent) else { return nil }
    return generator.weighted(weights.fates.map { ($0.fate, $0.weight) })
  }

  private func fate(of payload: SimulatedPayload) -> Weights.Fate? {
    let fate = drawFate()
    if case .probe = payload, fate == .refused || fate == .corrupted { return nil }
    return fate
  }

  private func meet(_ fate: Weights.Fate, _ transfer: Transfer, _ payload: SimulatedPayload, _ there: Span) {
    let id = transfer.id
    note("  fate \(fate)", Int64(fate.rawValue))
    let after: Span? = Bool.random(using: &generator) ? nil : generator.span(upTo: .seconds(120))
    switch fate {
    case .lostBefore: schedule(.answer(id, .unreachable("reset")), after: there)
    case .lostAfter:
      schedule(.arrival(payload, answering: nil, after: .zero), after: there)
      schedule(.answer(id, .unreachable("reset")), after: there + there)
    case .hangsBefore: break
    case .hangsAfter: schedule(.arrival(payload, answering: nil, after: .zero), after: there)
    case .stalls: schedule(.progress(id, until: now), after: generator.span(upTo: .seconds(50)))
    case .duplicated:
      schedule(.arrival(payload, answering: id, after: latency()), after: there)
      repeatLater(payload)
    case .answeredTwice:
      schedule(.arrival(payload, answering: id, after: latency()), after: there)
      schedule(.echo(id, garbage(for: transfer.request)), after: there + generator.span(upTo: .seconds(200)))
    case .garbage: schedule(.answer(id, garbage(for: transfer.request)), after: there)
    case .slow:
      let time = generator.span(upTo: .seconds(300))
      schedule(.progress(id, until: now + time), after: .seconds(10))
      schedule(.arrival(payload, answering: id, after: latency()), after: there + time)
    case .failing: schedule(.answer(id, .retryable("500", after: after)), after: there)
    case .busy: schedule(.answer(id, .throttled("429", after: after)), after: there)
    case .refused: schedule(.answer(id, .rejected("413")), after: there)
    case .corrupted: schedule(.answer(id, .corrupted("digest")), after: there)
    case .unauthorized: schedule(.answer(id, .blocked(.credentials, "401")), after: there)
    case .full: schedule(.answer(id, .blocked(.full, "507")), after: there)
    case .unreadable: schedule(.arrival(payload, answering: id, after: latency()), after: there)
    }
  }

  /// Answers that fit no request of this kind, or name what cannot be. (A false receipt is none of them: the transport
  /// compares receipts with what it sent.)
  private func garbage(for request: UploadRequest) -> TransferOutcome {
    let strange: [TransferOutcome] =
      switch request {
      case .chunk(let chunk):
        [
          .reachable, .completed(revision: 0), .incomplete(missing: [chunk.index]), .superseded(current: .first),
          .superseded(current: ChunkVersion(.max)), .announced(SessionFacts(path: [], inode: 0)),
        ]
      case .announce: [.reachable, .completed(revision: 0), .superseded(current: .first), .incomplete(missing: [0])]
      case .complete:
        [
          .reachable, .incomplete(missing: []), .incomplete(missing: [-1, 0, ChunkLayout.indexMax, Int.max]),
          .superseded(current: .first), .announced(SessionFacts(path: [], inode: 0)),
        ]
      case .recordings:
        [
          .reachable, .completed(revision: 0), .incomplete(missing: [0]),
          .sessionUnknown, .stale, .announced(SessionFacts(path: [], inode: 0)),
        ]
      case .run, .probe: [.sessionUnknown, .incomplete(missing: [0]), .completed(revision: 0), .stale]
      }
    return generator.element(of: strange) ?? .reachable
  }

  /// A chunk may arrive again long after newer ones: versions sort that out. A small recording too: its session is known then. Announcements and completions have no
  /// versions; over one connection they arrive in order, so a second copy of them does too.
  private func repeatLater(_ payload: SimulatedPayload) {
    guard payload.mayArriveLate else { return }
    schedule(.arrival(payload, answering: nil, after: .zero), after: generator.span(upTo: .seconds(200)))
  }

  func arrive(_ payload: SimulatedPayload, answering id: TransferID?, after delay: Span) {
    if let id, !active.contains(where: { $0.transfer.id == id }) {
      // Given up by the client while it was on its way.
      guard payload.mayArriveLate, Bool.random(using: &generator) else { return }
    }
    if id == nil, payload.mayArriveLate {} else if id == nil, payload.session != nil, !isNewest(payload) { return }
    let isFull = now < receiverFullUntil && payload.bytes > 0
    let outcome = isFull ? .blocked(.full, "507") : receiver.answer(accepted(payload))
    note("  arrived, \(outcome)")
    // What waits together is synced together, and answered then.
    if waitingAnswers.isEmpty { schedule(.receiverSync, after: isHealed ? .zero : .milliseconds(3)) }
    if let id { waitingAnswers.append((id, outcome, delay)) }
  }

  func syncReceiver() {
    receiver.sync()
    let answers = waitingAnswers
    waitingAnswers = []
    for (id, outcome, delay) in answers { schedule(.answer(id, outcome), after: delay) }
  }

  /// An announcement or completion without a waiting client counts only while no later one of its session started.
  private func isNewest(_ payload: SimulatedPayload) -> Bool {
    active.contains { request in
      guard request.payload.session == payload.session else { return false }
      switch (request.payload, payload) {
      case (.announce(_, let one), .announce(_, let other)): return one == other
      case (.complete(_, _, let one, _), .complete(_, _, let other, _)): return one == other
      default: return false
      }
    }
  }

  func answer(_ id: TransferID, _ outcome: TransferOutcome) {
    guard let place = active.firstIndex(where: { $0.transfer.id == id }) else { return }
    let request = active.remove(at: place)
    note("← \(id.number) \(outcome)", Int64(id.number))
    checker.reported(outcome, to: request.transfer, at: now)
    reports.append(.transferred(id, outcome))
  }

  func cancel(_ id: TransferID) {
    note("✕ \(id.number)", Int64(id.number))
    abandonExchange(id)
    guard let place = active.firstIndex(where: { $0.transfer.id == id }) else { return }
    let transfer = active.remove(at: place).transfer
    let isDeleted = transfer.request.session.map { files[$0] == nil } ?? false
    checker.cancelled(transfer, isDeleted: isDeleted, policy: policy, at: now)
  }

  func latency() -> Span {
    isHealed ? .milliseconds(5) : generator.span(upTo: weights.latencyMax)
  }
}

import UploadCore
import UploadProtocol

/// What becomes of requests.
extension SimulatedWorld {
  func start(_ transfer: Transfer, _ payload: SimulatedPayload) {
    note("→ \(transfer.id.number) \(transfer.request)", Int64(transfer.id.number))
    checker.started(transfer, among: active.map(\.transfer), policy: policy, at: now)
    active.append(ActiveRequest(transfer: transfer, payload: payload))
    let there = latency()
    guard now >= unreachableUntil else {
      if !isBlackHole { schedule(.answer(transfer.id, .unreachable("refused")), after: there) }
      return
    }
    guard let fate = fate(of: payload) else {
      return schedule(.arrival(payload, answering: transfer.id, after: latency()), after: there)
    }
    meet(fate, transfer, payload, there)
  }

  private func fate(of payload: SimulatedPayload) -> Weights.Fate? {
    guard !isHealed, generator.percent(weights.faultPercent) else { return nil }
    let fate = generator.weighted(weights.fates.map { ($0.fate, $0.weight) })
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
    case .duplicated:
      schedule(.arrival(payload, answering: id, after: latency()), after: there)
      repeatLater(payload)
    case .slow:
      schedule(.progress(id), after: .seconds(10))
      schedule(.arrival(payload, answering: id, after: latency()), after: generator.span(upTo: .seconds(300)))
    case .failing: schedule(.answer(id, .retryable("500", after: after)), after: there)
    case .busy: schedule(.answer(id, .throttled("429", after: after)), after: there)
    case .refused: schedule(.answer(id, .rejected("413")), after: there)
    case .corrupted: schedule(.answer(id, .corrupted("digest")), after: there)
    case .unauthorized: schedule(.answer(id, .blocked(.credentials, "401")), after: there)
    case .full: schedule(.answer(id, .blocked(.full, "507")), after: there)
    case .unreadable: schedule(.arrival(payload, answering: id, after: latency()), after: there)
    }
  }

  /// A chunk may arrive again long after newer ones: versions sort that out. Announcements and completions have no
  /// versions; over one connection they arrive in order, so a second copy of them does too.
  private func repeatLater(_ payload: SimulatedPayload) {
    guard case .chunk = payload else { return }
    schedule(.arrival(payload, answering: nil, after: .zero), after: generator.span(upTo: .seconds(200)))
  }

  func arrive(_ payload: SimulatedPayload, answering id: TransferID?, after delay: Span) {
    if let id, !active.contains(where: { $0.transfer.id == id }) {
      // Given up by the client while it was on its way.
      guard case .chunk = payload, Bool.random(using: &generator) else { return }
    }
    if id == nil, case .chunk = payload {} else if id == nil, payload.session != nil, !isNewest(payload) { return }
    let outcome = receiver.answer(payload)
    note("  arrived, \(outcome)")
    if let id { schedule(.answer(id, outcome), after: delay) }
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
    guard let place = active.firstIndex(where: { $0.transfer.id == id }) else { return }
    checker.cancelled(active.remove(at: place).transfer, at: now)
  }

  private func latency() -> Span {
    isHealed ? .milliseconds(5) : generator.span(upTo: weights.latencyMax)
  }
}

import UploadCore
import UploadProtocol

/// Transfers to stores and tus servers: a few requests each, one after the other.
extension SimulatedWorld {
  /// What a transfer waits for.
  struct Exchange {
    let request: ServerRequest
    let then: (ServerAnswer) -> ExchangeStep
    let number: UInt64
    /// It may still arrive there.
    var isOnItsWay = true
  }

  func begin(_ exchange: SimulatedExchange?, _ id: TransferID) {
    let step = destination.begin(exchange)
    // Ended without a request: told by the next poll.
    if case .end(let outcome) = step { schedule(.answer(id, outcome), after: .zero) } else { carry(step, id) }
  }

  private func carry(_ step: ExchangeStep, _ id: TransferID) {
    switch step {
    case .end(let outcome): answer(id, outcome)
    case .discovered(let geometry, let outcome):
      reports.append(.discovered(geometry))
      answer(id, outcome)
    case .send(let request, let then):
      exchangeCount += 1
      exchanges[id] = Exchange(request: request, then: then, number: exchangeCount)
      note("  sends \(request)")
      send(request, id, exchangeCount)
    }
  }

  private func send(_ request: ServerRequest, _ id: TransferID, _ number: UInt64) {
    guard isReachable else {
      exchanges[id]?.isOnItsWay = false
      if !isBlackHole { schedule(.exchangeAnswered(id, number, .failed(.unreachable("refused"))), after: latency()) }
      return
    }
    let there = latency() + transmission(of: request.bytes, id)
    guard let fate = exchangeFate(request) else {
      return schedule(.exchangeArrives(request, id, number, after: latency()), after: there)
    }
    meet(fate, request, id, number, there)
  }

  private func exchangeFate(_ request: ServerRequest) -> Weights.Fate? {
    guard let fate = drawFate() else { return nil }
    let needsBytes = fate == .corrupted || fate == .full
    if case .probe = request, fate == .refused { return nil }
    return needsBytes && request.bytes == 0 ? nil : fate
  }

  private func meet(_ fate: Weights.Fate, _ request: ServerRequest, _ id: TransferID, _ number: UInt64, _ there: Span) {
    note("  fate \(fate)", Int64(fate.rawValue))
    let after: Span? = Bool.random(using: &generator) ? nil : generator.span(upTo: .seconds(120))
    func fails(_ outcome: TransferOutcome, after delay: Span) {
      schedule(.exchangeAnswered(id, number, .failed(outcome)), after: delay)
    }
    let arrives = Happening.exchangeArrives(request, id, number, after: latency())
    switch fate {
    case .lostBefore:
      schedule(.exchangeBreaks(request, id, number), after: there)
      fails(.unreachable("reset"), after: there)
    case .lostAfter:
      schedule(.exchangeArrives(request, id, number, after: nil), after: there)
      fails(.unreachable("reset"), after: there + .milliseconds(1))
    case .hangsBefore: exchanges[id]?.isOnItsWay = false
    case .hangsAfter: schedule(.exchangeArrives(request, id, number, after: nil), after: there)
    case .stalls: schedule(.progress(id, until: now), after: generator.span(upTo: .seconds(50)))
    case .duplicated:
      schedule(arrives, after: there)
      if request.mayArriveLate { schedule(.exchangeEchoes(request), after: there + generator.span(upTo: .seconds(200))) }
    case .answeredTwice:
      schedule(arrives, after: there)
      schedule(.echo(id, .completed(revision: 0)), after: there + generator.span(upTo: .seconds(200)))
    case .slow:
      let time = generator.span(upTo: .seconds(300))
      schedule(.progress(id, until: now + time), after: .seconds(10))
      schedule(.exchangeArrives(request, id, number, after: latency()), after: there + time)
    case .garbage: fails(.retryable("a strange answer", after: nil), after: there)
    case .failing: fails(.retryable("500", after: after), after: there)
    case .busy: fails(.throttled("429", after: after), after: there)
    case .refused: fails(.rejected("413"), after: there)
    case .corrupted: fails(.corrupted("digest"), after: there)
    case .unauthorized: fails(.blocked(.credentials, "401"), after: there)
    case .full: fails(.blocked(.full, "507"), after: there)
    case .unreadable: schedule(arrives, after: there)
    }
  }

  // MARK: At the server

  /// - Parameter delay: of the answer; nil: it gets lost.
  func exchangeArrives(_ request: ServerRequest, _ id: TransferID, _ number: UInt64, after delay: Span?) {
    guard exchanges[id]?.number == number else {
      // Given up by us meanwhile. A part may come all the same.
      if request.mayArriveLate, Bool.random(using: &generator) { _ = destination.answer(request) }
      return
    }
    exchanges[id]?.isOnItsWay = false
    let isFull = now < receiverFullUntil && request.bytes > 0
    let answer = isFull ? ServerAnswer.failed(.blocked(.full, "507")) : destination.answer(request)
    note("  arrived, \(answer)")
    if let delay { schedule(.exchangeAnswered(id, number, answer), after: delay) }
  }

  /// The connection broke: of bytes that are appended some may have come through.
  func exchangeBreaks(_ request: ServerRequest, _ id: TransferID, _ number: UInt64) {
    guard exchanges[id]?.number == number else { return }
    exchanges[id]?.isOnItsWay = false
    breakOff(request)
  }

  private func breakOff(_ request: ServerRequest) {
    guard case .tus(.append(let upload, let offset, let bytes, nil)) = request, bytes.count > 0 else { return }
    let count = Int64.random(in: 0...Int64(bytes.count), using: &generator)
    guard count > 0 else { return }
    _ = destination.answer(.tus(.append(upload, at: offset, bytes.prefix(count), length: nil)))
    note("  \(count) bytes came through", count)
  }

  func exchangeAnswered(_ id: TransferID, _ number: UInt64, _ answer: ServerAnswer) {
    guard let exchange = exchanges[id], exchange.number == number else { return }
    exchanges[id] = nil
    // Between two requests of a transfer bytes moved too.
    reports.append(.progressed(id, bytes: 0))
    checker.moved(id, at: now)
    carry(exchange.then(answer), id)
  }

  /// Nobody waits for the answer any more. The request arrives now, or in part, or never; only parts may come later.
  func abandonExchange(_ id: TransferID) {
    guard let exchange = exchanges.removeValue(forKey: id), exchange.isOnItsWay, isReachable else { return }
    switch Int.random(in: 0..<3, using: &generator) {
    case 0: _ = destination.answer(exchange.request)
    case 1: breakOff(exchange.request)
    default: break
    }
  }

  func abandonExchanges() { for id in exchanges.keys.sorted() { abandonExchange(id) } }

  // MARK: Our side

  func loadExchange(_ request: UploadRequest) -> LoadedTransfer<SimulatedPayload> {
    guard let session = request.session else { return .payload(.probe) }
    guard let row = journal.rows.sessions[session] else { return .outcome(.stale) }
    return .payload(
      .exchange(
        SimulatedExchange(
          request: request, session: session, facts: row.facts, revision: row.revision, size: row.size,
          isFinished: row.isFinished, isSynced: row.isSynced, remote: row.remote,
          rows: { [unowned self] indexes throws(SourceError) in rows(of: session, indexes) },
          read: { [unowned self] indexes throws(SourceError) in try snapshot(of: session, indexes) })))
  }

  private func rows(of session: SessionID, _ indexes: Range<Int>) -> [ChunkRow] {
    let rows = journal.rows.sessions[session]?.chunks ?? [:]
    return indexes.compactMap { index in
      guard let row = rows[index] else { return nil }
      return ChunkRow(index: index, version: row.version, state: row.publicState, bytes: row.bytes, digest: row.digest)
    }
  }

  private func snapshot(of session: SessionID, _ indexes: Range<Int>) throws(SourceError) -> [StoredChunk] {
    let rows = rows(of: session, indexes)
    guard rows.count == indexes.count, rows.allSatisfy({ $0.state != .open }),
      rows.dropLast().allSatisfy({ $0.bytes == ChunkLayout.chunkBytes }), let file = files[session]
    else { throw SourceError(.stale) }
    let evicted = rows.filter { $0.state == .evicted }.map(\.index)
    guard evicted.isEmpty else {
      for index in evicted { fetch(ChunkID(session, index)) }
      throw SourceError(.unreadable("chunk \(evicted[0]) is being fetched back"))
    }
    guard indexes.upperBound <= file.chunkCount else { throw SourceError(.unreadable("the file is shorter")) }
    if let index = indexes.first(where: { isUnreadable(ChunkID(session, $0)) }) {
      throw SourceError(.unreadable("chunk \(index): EIO"))
    }
    return rows.map { row in
      let digest = file.localDigest(of: row.index)
      if !file.isRolledBack { checker.loaded(ChunkID(session, row.index), row.version, digest) }
      return StoredChunk(index: row.index, version: row.version, digest: digest)
    }
  }
}

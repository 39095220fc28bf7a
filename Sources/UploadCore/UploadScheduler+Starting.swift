import HeapModule
import UploadProtocol

/// Leases: taking work out of the queue, and giving it back.
extension UploadScheduler {
  /// Puts `session` where it belongs in the queue; called after whatever changed it.
  mutating func refresh(_ session: SessionID) {
    guard let entry = sessions[session] else { return }
    queue.place(session, in: entry.work(wholeBytesMax: wholeBytesMax) == nil ? nil : entry.lane)
  }

  mutating func startTransfers() {
    guard maySend, connection.notBefore.map({ $0 <= now }) ?? true else { return }
    while transfers.count < connection.window.size, chunksCarried < Self.chunksCarriedMax, limiter.mayStart(at: now),
      connection.spacing.mayStart(at: now), let session = queue.next()
    {
      start(session)
      connection.spacing.started(at: now, using: &generator)
      refresh(session)
    }
  }

  /// A run is held in memory while it travels. Parts of 16 MiB fly 16 at once; of larger ones so many fewer, from
  /// 256 MiB on (a recording of 234 GiB) one alone: never more than this and one run, whatever `parallel` says.
  static let chunksCarriedMax = 256

  var chunksCarried: Int {
    transfers.reduce(0) { sum, transfer in
      if case .run(let run) = transfer.request { sum + run.chunks.count } else { sum }
    }
  }

  private mutating func start(_ session: SessionID) {
    switch sessions[session]?.work(wholeBytesMax: wholeBytesMax) {
    case .announcement: converse(session, .announce(session))
    case .completion: converse(session, .complete(session))
    case .whole: startRecordings(with: session)
    case .chunk:
      guard let index = sessions[session]?.takeChunk() else { return }
      sessions[session]?.chunksInFlight += 1
      lease(.chunk(ChunkID(session, index)), charged: ChunkLayout.chunkBytes)
    case .run(let run):
      sessions[session]?.takeRun(run)
      sessions[session]?.chunksInFlight += run.count
      lease(.run(ChunkRun(session, run)), charged: run.count * ChunkLayout.chunkBytes)
    case nil: preconditionFailure("a session without work was queued")
    }
  }

  private mutating func converse(_ session: SessionID, _ request: UploadRequest) {
    let carried = request == .complete(session) ? sessions[session]?.planner?.chunksWithCompletion ?? 0 : 0
    let id = lease(request, charged: carried * ChunkLayout.chunkBytes)
    sessions[session]?.conversation = id
    sessions[session]?.isFresh = false
    sessions[session]?.isRenamed = false
    sessions[session]?.isChanged = false
  }

  /// Starts one request.
  @discardableResult
  mutating func lease(_ request: UploadRequest, charged: Int = 0) -> TransferID {
    let id = TransferID(nextTransfer)
    nextTransfer += 1
    var transfer = InFlight(id: id, request: request, started: now, lastProgress: now)
    if let session = request.session {
      transfer.announcements = sessions[session]?.announcements ?? 0
      transfer.failuresBefore = sessions[session]?.failures ?? 0
      transfer.wasGivenUp = silences.wasGivenUp(request.chunks, of: session)
    }
    if limiter.bytesPerSecond != nil, charged > 0 {
      // A chunk's length is not known here; `settle` gives back what it falls short of a whole one.
      transfer.charged = charged
      limiter.charge(bytes: charged, at: now)
    }
    transfers.append(transfer)
    effects.append(.start(Transfer(id: id, request: request, bytesPerSecondMax: limiter.bytesPerSecond)))
    return id
  }

  /// Ends the lease; nil if it was cancelled before.
  mutating func release(_ id: TransferID) -> InFlight? {
    guard let place = transfers.firstIndex(where: { $0.id == id }) else { return nil }
    let transfer = transfers.remove(at: place)
    switch transfer.request {
    case .probe: connection.probe = nil
    case .announce(let session), .complete(let session): sessions[session]?.conversation = nil
    case .recordings(let batch):
      for session in batch where sessions[session]?.conversation == id { sessions[session]?.conversation = nil }
    case .chunk(let chunk): sessions[chunk.session]?.chunksInFlight -= 1
    case .run(let run):
      sessions[run.session]?.chunksInFlight -= run.chunks.count
      sessions[run.session]?.releaseRun(run.chunks)
    }
    return transfer
  }

  /// Ends an attempt from our side. The caller says what becomes of its chunk.
  mutating func cancel(_ id: TransferID) {
    guard let transfer = release(id) else { return }
    count(transfer, .cancelled)
    effects.append(.cancel(id))
  }

  /// Of what was decided and waits for the journal. The rest is taken back.
  mutating func stillToStart(_ waiting: [Transfer]) -> [Transfer] {
    waiting.filter { transfer in
      if mayStart(transfer.request) { return true }
      takeBack(transfer.id)
      return false
    }
  }

  /// Meanwhile the destination may have gone away or asked for time, somebody may have paused or held it, its session may
  /// have been refused, and a recording may have a new name, or have gone on and have chunks to send before it is completed.
  private func mayStart(_ request: UploadRequest) -> Bool {
    let entries = request.sessions.compactMap { sessions[$0] }
    switch request {
    case .probe: return true
    case .announce where entries.contains { $0.isRenamed }: return false
    case .complete where entries.contains { $0.isRenamed || $0.isChanged }: return false
    case .recordings where entries.contains { $0.isRenamed || $0.isChanged }: return false
    case .announce, .complete, .recordings, .chunk, .run: break
    }
    return maySend && entries.allSatisfy(\.mayWork) && connection.notBefore.map { $0 <= now } ?? true
  }

  /// An attempt that was never started, and must not be any more: as if it had not been decided.
  private mutating func takeBack(_ id: TransferID) {
    guard let transfer = release(id) else { return }
    limiter.refund(bytes: transfer.charged)
    putBack(transfer)
    if case .recordings(let batch) = transfer.request { tryTogetherAgain(batch) }
    for session in transfer.request.sessions { refresh(session) }
  }

  /// Chunks whose attempt failed wait again, unless they changed and are still open.
  mutating func putBack(_ transfer: InFlight) {
    guard let session = transfer.request.session else { return }
    guard transfer.isStale else {
      sessions[session]?.putBack(transfer.request.chunks)
      return
    }
    for index in transfer.request.chunks where !transfer.stale.contains(index) || transfer.sealedAgain.contains(index) {
      sessions[session]?.putBack(index..<index + 1)
    }
  }

  mutating func progressed(_ id: TransferID) {
    guard let place = transfers.firstIndex(where: { $0.id == id }) else { return }
    silenceEnded(of: transfers[place])
    transfers[place].lastProgress = now
  }

  func stallMoment(of transfer: InFlight) -> Instant {
    transfer.lastProgress + stallTimeout(of: transfer)
  }

  /// An attempt without a moved byte for the timeout: its lease is freed, and the destination is looked at.
  mutating func cancelStalled() {
    for transfer in transfers where stallMoment(of: transfer) <= now {
      let timeout = stallTimeout(of: transfer)
      effects.append(.cancel(transfer.id))
      if let session = transfer.request.session { silences.gaveUp(transfer.request.chunks, of: session) }
      let seconds = timeout.nanoseconds / 1_000_000_000
      ended(transfer.id, .retryable("no byte moved for \(seconds) s", after: nil), as: .stalled)
      suspect(because: transfer)
    }
  }

  mutating func wakeDelayed() {
    while let ticket = delays.min, ticket.moment <= now {
      delays.removeMin()
      guard sessions[ticket.session]?.notBefore == ticket.moment else { continue }
      sessions[ticket.session]?.notBefore = nil
      refresh(ticket.session)
    }
  }
}

package import UploadProtocol

/// How transfers end.
extension UploadScheduler {
  /// After so many answers in a row that led nowhere, each further one counts as a failure: a destination that keeps
  /// saying "superseded" or "unknown" must not be asked as fast as it answers.
  static let detoursMax = 3
  /// Versions that a destination may claim to hold. One near the end of the numbers is nonsense, and taking a later
  /// one would leave none for rewrites: our own count never gets here.
  package static let versionMax = ChunkVersion(1 << 31)

  /// - Parameter ending: as what it counts, where the outcome does not say it.
  mutating func ended(_ id: TransferID, _ outcome: TransferOutcome, as ending: UploadAttempt.Ending? = nil) {
    guard let transfer = release(id) else { return }
    let attempt = count(transfer, ending ?? UploadAttempt.Ending(outcome), outcome)
    learn(from: attempt, transfer)
    if case .recordings(let batch) = transfer.request { return recordingsEnded(transfer, batch, outcome) }
    guard let session = transfer.request.session else { return probeEnded(outcome) }
    settle(transfer, outcome)
    switch outcome {
    case .unreachable(let message):
      giveBack(transfer, message)
      suspect(because: transfer)
    case .retryable(let message, let after):
      giveBack(transfer, message)
      destinationFailed(transfer, session, after: after)
    case .throttled(let message, let after):
      giveBack(transfer, message)
      destinationFailed(transfer, session, after: after ?? policy.retryInitial)
      connection.spacing.refused(transfer.id.number, next: nextTransfer, policy: policy, at: now, using: &generator)
    case .blocked(let reason, let message):
      putBack(transfer)
      becameBlocked(reason, message)
    case .rejected(let message):
      failed(session, transfer, message)
    case .unreadable(let message):
      giveBack(transfer, message)
    case .notHere(let message):
      putBack(transfer)
      rest(session, message, mark: transfer.id.number)
    case .sessionUnknown:
      sessionUnknown(transfer, session)
    case .runStored(let chunks, let facts):
      remember(facts, of: session)
      runStored(transfer, session, chunks)
    case .advanced(let facts):
      remember(facts, of: session)
      putBack(transfer)
      succeeded(session)
    case .rolledBack(let index, let facts):
      remember(facts, of: session)
      rolledBack(transfer, session, to: index)
    case .stored, .announced, .completed, .incomplete, .superseded, .corrupted, .stale, .reachable, .recordingsStored,
      .recordingsUntaken:
      answered(transfer, outcome)
    }
    refresh(session)
    if sessions[session]?.isSynced == true { perhapsSettled.append(session) }
  }

  /// Answers about the request itself.
  private mutating func answered(_ transfer: InFlight, _ outcome: TransferOutcome) {
    switch (transfer.request, outcome) {
    case (.chunk(let chunk), .stored(let version, let digest, _)): stored(transfer, chunk, version, digest)
    case (.chunk(let chunk), .superseded(let current)) where current <= Self.versionMax:
      superseded(transfer, chunk, current)
    case (.chunk, .stale):
      // Normally nothing to do: the event that it is open again is on its way.
      if transfer.isSealedAgain { putBack(transfer) }
    case (.chunk(let chunk), .corrupted(let message)): corrupted(transfer, chunk.session, message)
    case (.run(let run), .corrupted(let message)): corrupted(transfer, run.session, message)
    case (.run, .stale): if transfer.isStale { putBack(transfer) } else { giveBack(transfer, "a chunk of the run is open") }
    case (.announce(let session), .announced(let facts)): announced(session, facts)
    case (.complete(let session), .completed(let revision)): completed(session, revision: revision)
    case (.complete(let session), .incomplete(let missing)): incomplete(session, missing)
    case (_, .stale): giveBack(transfer, "the recording changed while it was read")
    default: giveBack(transfer, "the destination gave a strange answer")
    }
  }

  private mutating func stored(
    _ transfer: InFlight, _ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest
  ) {
    succeeded(chunk.session)
    sessions[chunk.session]?.corruptions = 0
    sessions[chunk.session]?.detours = 0
    guard !transfer.isStale else { return putBack(transfer) }
    effects.append(.record(.stored(chunk, version, digest)))
    effects.append(.announce(.chunkUploaded(chunk)))
  }

  private mutating func superseded(_ transfer: InFlight, _ chunk: ChunkID, _ current: ChunkVersion) {
    putBack(transfer)
    guard !transfer.isStale else { return }
    effects.append(.record(.superseded(chunk, current: current)))
    detour(transfer, "the destination holds another version of chunk \(chunk.index)")
  }

  private mutating func corrupted(_ transfer: InFlight, _ session: SessionID, _ message: String) {
    let corruptions = (sessions[session]?.corruptions ?? 0) + 1
    sessions[session]?.corruptions = corruptions
    guard corruptions < policy.corruptionsMax else {
      return failed(session, transfer, message)
    }
    giveBack(transfer, message)
  }

  private mutating func announced(_ session: SessionID, _ facts: SessionFacts) {
    succeeded(session)
    guard sessions[session]?.isRenamed == false else { return }
    guard facts == sessions[session]?.facts else {
      // The journal was a rename ahead of us; its event is on its way.
      return detour(session, "the recording was renamed while it was announced")
    }
    remember(session, announcedAs: facts)
  }

  mutating func remember(_ session: SessionID, announcedAs facts: SessionFacts) {
    sessions[session]?.isAnnounced = true
    sessions[session]?.mustBeAnnounced = false
    sessions[session]?.announcements += 1
    effects.append(.record(.announced(session, facts)))
  }

  private mutating func completed(_ session: SessionID, revision: Int64) {
    succeeded(session)
    guard let entry = sessions[session], !entry.isChanged, !entry.isRenamed else { return }
    becameSynced(session, revision)
  }

  mutating func becameSynced(_ session: SessionID, _ revision: Int64) {
    sessions[session]?.isSynced = true
    sessions[session]?.incompletions = 0
    sessions[session]?.lowestMissing = -1
    sessions[session]?.detours = 0
    effects.append(.record(.synced(session, revision: revision)))
    effects.append(.announce(.sessionUploadComplete(session)))
  }

  private mutating func incomplete(_ session: SessionID, _ missing: [Int]) {
    guard let entry = sessions[session] else { return }
    sessions[session]?.mustBeAnnounced = !entry.isAnnounced
    guard !entry.isChanged else { return }
    let indexes = missing.filter { 0...ChunkLayout.indexMax ~= $0 }.sorted()
    for index in indexes {
      sessions[session]?.putBack(index..<index + 1)
      effects.append(.record(.unstored(ChunkID(session, index))))
    }
    // A destination that lost a million chunks names ten thousand at a time: getting further is progress.
    let lowest = indexes.first ?? -1
    let incompletions = lowest > entry.lowestMissing ? 0 : entry.incompletions + 1
    sessions[session]?.lowestMissing = lowest
    sessions[session]?.incompletions = incompletions
    guard incompletions >= Self.detoursMax else { return }
    delay(
      session, "the destination keeps losing chunks of this recording", mark: nextTransfer,
      failuresMin: incompletions - Self.detoursMax)
  }

  private mutating func sessionUnknown(_ transfer: InFlight, _ session: SessionID) {
    putBack(transfer)
    guard let entry = sessions[session], entry.announcements == transfer.announcements else { return }
    sessions[session]?.mustBeAnnounced = transfer.request == .complete(session)
    if entry.isAnnounced {
      sessions[session]?.isAnnounced = false
      effects.append(.record(.unannounced(session)))
    }
    detour(transfer, "the destination does not know the session")
  }

  /// Charged was a whole chunk; only what was sent counts.
  private mutating func settle(_ transfer: InFlight, _ outcome: TransferOutcome) {
    switch outcome {
    case .stored(_, _, let bytes): limiter.refund(bytes: max(0, transfer.charged - bytes))
    // Steps without a byte of content, as far as is known.
    case .unreachable, .unreadable, .notHere, .stale, .advanced, .completed, .incomplete, .rolledBack, .sessionUnknown:
      limiter.refund(bytes: transfer.charged)
    default: break
    }
  }
}

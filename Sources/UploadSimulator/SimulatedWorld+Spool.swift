import UploadCore
import UploadProtocol

/// The spool's side of the uploader: what is sent, and what a new process finds.
extension SimulatedWorld {
  func load(_ request: UploadRequest) -> LoadedTransfer<SimulatedPayload> {
    if destination.kind != .chunks { return loadExchange(request) }
    switch request {
    case .probe: return .payload(.probe)
    case .announce(let session):
      guard let row = journal.rows.sessions[session] else { return .outcome(.stale) }
      return .payload(.announce(session, row.facts))
    case .chunk(let chunk): return loadChunk(chunk)
    case .complete(let session): return loadManifest(session)
    case .recordings(let batch):
      let loaded = batch.compactMap(loadWhole)
      return loaded.isEmpty ? .outcome(.recordingsStored([])) : .payload(.recordings(loaded))
    case .run: preconditionFailure("the simulated receiver takes single chunks")
    }
  }

  /// Before what recorders and people say of a session, what the journal knows of it: the scheduler forgets synced ones.
  func introducing(_ events: [UploadEvent]) -> [UploadEvent] {
    events.flatMap { event -> [UploadEvent] in
      let session: SessionID? =
        switch event {
        case .opened(let session), .renamed(let session, _), .removed(let session), .control(.hold(let session)),
          .control(.release(let session)), .control(.prioritize(let session, _)): session
        default: nil
        }
      guard let session, let row = journal.rows.sessions[session] else { return [event] }
      let known = RestoredSession(
        facts: row.facts, pending: [], sealed: sealedRanges(of: row), isAnnounced: row.isAnnounced,
        isFinished: row.isFinished,
        isSynced: row.isSynced, failure: row.failure, priority: row.priority, isHeld: row.isHeld, size: row.size)
      return [.introduced(session, known), event]
    }
  }

  /// Sealed, stored or not.
  private func sealedRanges(of row: SimulatedJournal.SessionRow) -> [Range<Int>] {
    guard destination.kind != .chunks else { return [] }
    return row.chunks.filter { $0.value.state != .open }.keys.sorted().map { $0..<$0 + 1 }
  }

  private func loadChunk(_ chunk: ChunkID) -> LoadedTransfer<SimulatedPayload> {
    guard let row = journal.rows.sessions[chunk.session]?.chunks[chunk.index], row.state == .sealed,
      let file = files[chunk.session], chunk.index < file.chunkCount
    else { return .outcome(.stale) }
    if isUnreadable(chunk) { return .outcome(.unreadable("EIO")) }
    // As many bytes as were sealed, whatever the file has become since.
    let digest = SimulatedFile.digest(file.localBytes(of: chunk.index), bytes: row.bytes)
    if !file.isRolledBack { checker.loaded(chunk, row.version, digest) }
    return .payload(
      .chunk(
        chunk, SimulatedReceiver.Chunk(version: row.version, digest: digest),
        bytes: row.bytes))
  }

  private func loadWhole(_ session: SessionID) -> StoredRecording? {
    guard let row = journal.rows.sessions[session], row.isFinished, let sealed = row.chunks[0], row.chunks.count == 1,
      case .payload(.chunk(_, let chunk, let bytes)) = loadChunk(ChunkID(session, 0)), Int64(bytes) == row.size,
      sealed.version == chunk.version
    else { return nil }
    return StoredRecording(
      session: session, facts: row.facts, version: chunk.version, digest: chunk.digest, bytes: bytes, revision: row.revision)
  }

  func isUnreadable(_ chunk: ChunkID) -> Bool {
    guard !isHealed else { return false }
    if let unreadable, unreadable.chunk == chunk, now < unreadable.until { return true }
    return weights.fates.contains { $0.fate == .unreadable } && generator.percent(weights.faultPercent / 4)
  }

  private func loadManifest(_ session: SessionID) -> LoadedTransfer<SimulatedPayload> {
    guard let row = journal.rows.sessions[session] else { return .outcome(.stale) }
    let count = ChunkLayout.chunkCount(size: row.size)
    let digests = (0..<count).compactMap { index -> ChunkDigest? in
      guard let chunk = row.chunks[index], chunk.isConfirmed else { return nil }
      return chunk.digest
    }
    guard row.isFinished, digests.count == count else {
      let missing = row.chunks.filter { $0.value.state == .sealed }.keys.sorted()
      return .outcome(missing.isEmpty ? .unreadable("the journal lacks chunks") : .incomplete(missing: missing))
    }
    return .payload(
      .complete(
        session, row.facts, revision: row.revision, SimulatedReceiver.Recording(size: row.size, digests: digests)))
  }

  /// A new process: everything is told again from files and journal, in the order of sessions.
  func restart() {
    isDead = false
    mail = []
    destination.processStarts()
    journal.commit(.forgetTruncations, at: now)
    if killsLeft > 0 {
      killsLeft -= 1
      callsToLive = Int.random(in: 0...20, using: &generator)
    }
    for session in journal.rows.sessions.keys.sorted() where files[session] == nil {
      restored(session, isFinished: false, pending: [])
      post(.removed(session))
    }
    for session in sessions { recover(session) }
    if journal.rows.isPausedByUser { command(.pauseAll) }
  }

  private func recover(_ session: SessionID) {
    guard var file = files[session] else { return }
    dropExcess(of: file)
    // A power cut may have taken bytes back, or what the journal said of later ones: chunk by chunk it is compared.
    if file.isRolledBack {
      checkDigests(of: file)
      if destination.kind != .chunks { journal.commit(.distrust(session), at: now) }
    }
    reopenCutOff(file)
    let row = journal.rows.sessions[session]
    file.tracker = tracker(of: &file, row)
    let isFinished = row?.isFinished == true && row?.size == file.size && file.tracker.isSealed
    if let row {
      let sealed = row.chunks.filter { $0.value.state == .sealed && $0.key < file.chunkCount }.keys.sorted()
      restored(session, isFinished: isFinished, pending: sealed.map { $0..<$0 + 1 })
      if row.facts != file.facts { post(.renamed(session, file.facts)) }
    } else {
      post(.registered(session, file.facts))
    }
    file.finishMoment = nil
    if file.isOpen {
      post(.opened(session))
    } else if !isFinished {
      file.finishMoment = now
    }
    if file.isRolledBack { file.sync() }
    files[session] = file
  }

  /// Rows beyond the end: of a file that a power cut shortened, or of seals that were recorded after the truncation, by a
  /// process that died before it recorded that too.
  private func dropExcess(of file: SimulatedFile) {
    guard let row = journal.rows.sessions[file.session], row.chunks.keys.contains(where: { $0 >= file.chunkCount })
    else { return }
    journal.isFailing = false
    journal.commit(.drop(file.session, from: file.chunkCount), at: now)
    journal.commit(.forgetTruncations, at: now)
  }

  private func checkDigests(of file: SimulatedFile) {
    guard let row = journal.rows.sessions[file.session] else { return }
    journal.isFailing = false
    let changed = row.chunks.filter { index, chunk in
      index < file.chunkCount && chunk.state == .stored
        && chunk.digest != SimulatedFile.digest(file.localBytes(of: index), bytes: chunk.bytes)
    }
    // Without a change too: the destination may hold more than was synced here, and is told what the recording is now.
    journal.commit(.reopen(file.session, changed.keys.sorted()), at: now)
    journal.sync()
  }

  /// Chunks that were sealed at another length than they have now: the file grew or shrank, and the journal's word of it
  /// went with a power cut.
  private func reopenCutOff(_ file: SimulatedFile) {
    let rows = journal.rows.sessions[file.session]?.chunks ?? [:]
    let changed = rows.filter { index, row in
      (row.state == .sealed || row.state == .stored) && row.bytes != ChunkLayout.byteCount(of: index, size: file.size)
    }
    guard !changed.isEmpty else { return }
    journal.isFailing = false
    journal.commit(.reopen(file.session, changed.keys.sorted()), at: now)
  }

  private func tracker(of file: inout SimulatedFile, _ row: SimulatedJournal.SessionRow?) -> ChunkTracker {
    var handedOff = ChunkSet()
    var reopened: [Int: ChunkVersion] = [:]
    for (index, chunk) in (row?.chunks ?? [:]).sorted(by: { $0.key < $1.key }) where index < file.chunkCount {
      if chunk.state == .open { reopened[index] = chunk.version } else { handedOff.insert(index) }
    }
    file.vouched = handedOff
    return ChunkTracker(
      size: file.size, baseVersion: row?.baseVersion ?? .first, handedOff: handedOff, reopened: reopened,
      policy: SealPolicy(), now: now)
  }

  private func restored(_ session: SessionID, isFinished: Bool, pending: [Range<Int>]) {
    guard let row = journal.rows.sessions[session] else { return }
    post(
      .restored(
        session,
        RestoredSession(
          facts: row.facts, pending: pending, sealed: sealedRanges(of: row), isAnnounced: row.isAnnounced, isFinished: isFinished,
          isSynced: row.isSynced && isFinished, failure: row.failure, priority: row.priority, isHeld: row.isHeld,
          size: row.size)))
  }
}

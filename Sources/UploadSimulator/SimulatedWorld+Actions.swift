import UploadCore
import UploadProtocol

/// Who does what to the uploader.
extension SimulatedWorld {
  func act() {
    guard let action = generator.weighted(weights.actions.map { ($0.action, $0.weight) }) else { return }
    perform(action)
  }

  /// Only what happens on file-system threads.
  func recorderActs() {
    let actions = weights.actions.filter { $0.action.rawValue <= Weights.Action.sync.rawValue }
    guard let action = generator.weighted(actions.map { ($0.action, $0.weight) }) else { return }
    perform(action)
  }

  private func perform(_ action: Weights.Action) {
    note("· \(action)", Int64(action.rawValue))
    switch action {
    case .create, .append, .rewrite, .truncate, .close, .reopen, .rename, .delete, .retag, .read, .evict, .sync:
      performOnFile(action)
    case .pause, .resume, .hold, .release, .prioritize, .limit, .process, .force: performByPerson(action)
    case .networkChanged: post(.networkChanged)
    case .partition:
      unreachableUntil = now + generator.span(upTo: weights.outageMax)
      isBlackHole = Bool.random(using: &generator)
    case .receiverCrash: crashReceiver()
    case .receiverPowerCut: cutReceiverPower()
    case .receiverStorm: beginReceiverStorm()
    case .receiverFull: receiverFullUntil = now + generator.span(upTo: weights.outageMax)
    case .receiverForgets: receiverForgets()
    case .kill: kill()
    case .killSoon: callsToLive = Int.random(in: 0...20, using: &generator)
    case .killStorm: beginKillStorm()
    case .powerCut: cutPower()
    case .journalFails:
      journal.isFailing = true
      journalFailsUntil = now + generator.span(upTo: weights.outageMax)
    case .diskFull: diskFullUntil = now + generator.span(upTo: weights.outageMax)
    case .diskFails:
      anyFile { $0.chunkCount > 0 }.map {
        let index = Int.random(in: 0..<(files[$0]?.chunkCount ?? 1), using: &generator)
        unreadable = (ChunkID($0, index), now + generator.span(upTo: weights.outageMax))
      }
    case .clockJump: clock.advance(to: now + generator.span(upTo: .seconds(600)))
    // A closed lid: the monotonic clock stands or runs meanwhile, and hours have passed at the next turn.
    case .suspend: clock.advance(to: now + generator.span(upTo: .seconds(12 * 3_600)))
    }
  }

  private func performOnFile(_ action: Weights.Action) {
    switch action {
    case .create: create()
    case .append: anyFile { $0.isOpen }.map { append($0) }
    case .rewrite: anyFile { $0.isOpen && $0.size > 0 }.map { rewrite($0) }
    case .truncate: anyFile { _ in true }.map { truncate($0) }
    case .close: anyFile { $0.isOpen }.map { close($0) }
    case .reopen: anyFile { !$0.isOpen }.map { reopen($0) }
    case .rename: anyFile { _ in true }.map { rename($0) }
    case .delete: anyFile { _ in true }.map { delete($0) }
    case .retag: anyFile { _ in true }.map { post(.renamed($0, files[$0]?.facts ?? SessionFacts(path: [], inode: 0))) }
    case .read: anyFile { _ in true }.map { read($0) }
    case .evict: anyFile { _ in true }.map { evict($0) }
    case .sync:
      // The journal comes first: what it vouches for must not be newer than what it knows.
      anyFile { _ in true }.map {
        journal.sync()
        files[$0]?.sync()
      }
    default: preconditionFailure("\(action) is nothing that happens to a file")
    }
  }

  private func performByPerson(_ action: Weights.Action) {
    switch action {
    case .pause: command(.pauseAll)
    case .resume: command(.resumeAll)
    case .hold: anyFile { _ in true }.map { command(.hold($0)) }
    case .release: anyFile { _ in true }.map { command(.release($0)) }
    case .prioritize:
      anyFile { _ in true }.map {
        command(.prioritize($0, UploadPriority(rawValue: Int.random(in: 0...2, using: &generator)) ?? .normal))
      }
    case .limit: command(.limit(bytesPerSecond: generator.element(of: [nil, 50_000, 400_000, 20_000_000]) ?? nil))
    case .process: command(.processUploads(nil, force: false))
    case .force: command(.processUploads(Bool.random(using: &generator) ? nil : anyFile { _ in true }, force: true))
    default: preconditionFailure("\(action) is nothing that people do")
    }
  }

  func command(_ command: ControlCommand) {
    if command == .pauseAll { isPaused = true }
    if command == .resumeAll { isPaused = false }
    checker.commanded(command, at: now)
    post(.control(command))
  }

  private func anyFile(where isWanted: (SimulatedFile) -> Bool) -> SessionID? {
    generator.element(of: sessions.filter { files[$0].map(isWanted) ?? false })
  }

  /// The receiver breaks its promise. Only of sessions that will still be completed: a client does not ask again for what
  /// it was told is whole. And only of bytes that are still here: others would be lost for good, and nobody to blame.
  private func receiverForgets() {
    // The uploader may have been told what the journal does not know yet.
    guard !journal.isFailing else { return }
    let completing = active.flatMap { request -> [SessionID] in
      switch request.transfer.request {
      case .complete, .recordings: request.transfer.request.sessions
      case .announce, .chunk, .run, .probe: []
      }
    }
    let candidates = sessions.filter { session in
      guard let row = journal.rows.sessions[session] else { return false }
      let isHere = !row.chunks.values.contains { $0.state == .evicted } && files[session]?.holes.isEmpty == true
      return !row.isSynced && isHere && !completing.contains(session) && !isWhole(row)
    }
    guard let session = generator.element(of: candidates) else { return }
    checker.forgetful.insert(session)
    guard destination.kind == .chunks else { return destinationForgets(session) }
    if Bool.random(using: &generator) {
      receiver.forget(session)
    } else if let index = generator.element(of: (receiver.sessions[session]?.chunks.keys.sorted() ?? [])) {
      receiver.lose(ChunkID(session, index))
    }
  }

  /// It has said that it is whole there, as it is now: it will not be asked again.
  private func isWhole(_ row: SimulatedJournal.SessionRow) -> Bool {
    StoreMemory(row.remote).object?.revision == row.revision || TusMemory(row.remote).final?.revision == row.revision
  }

  /// Uploads expire or roll back, objects are deleted.
  private func destinationForgets(_ session: SessionID) {
    switch (destination.kind, Int.random(in: 0..<3, using: &generator)) {
    case (.parts, 0): destination.store.forgetObjects(of: session)
    case (.parts, _): destination.store.forgetUploads(of: session)
    case (.appended, 0): destination.tus.forgetUploads(of: session)
    case (.appended, _): destination.tus.rollBack(session, using: &generator)
    case (.chunks, _): break
    }
  }

  // MARK: Peace

  /// Somebody looks after sessions that the destination refused, not more than once in ten seconds.
  /// - Returns: whether there were any.
  func releaseRefused() -> Bool {
    guard now >= lastRelease + .seconds(10) || checker.sleptForEver else { return false }
    lastRelease = now
    let refused = sessions.filter { journal.rows.sessions[$0]?.failure != nil }
    for session in refused { command(.release(session)) }
    return !refused.isEmpty
  }

  /// Faults stop; recorders may go on.
  func heal() {
    note("✚ healed")
    healedAt = now
    unreachableUntil = now
    receiverFullUntil = now
    diskFullUntil = now
    unreadable = nil
    journal.isFailing = false
    callsToLive = nil
    killsLeft = 0
    // Resuming looks at the destination at once; without, the uploader has to find back by itself.
    if isPaused { command(.resumeAll) }
    command(.limit(bytesPerSecond: nil))
    for session in sessions { command(.release(session)) }
    actionsLeft = weights.peacefulActionsMax
    if actionsLeft > 0 { schedule(.action, after: .zero) }
  }

  /// Everybody closes and goes home; from here on all must settle.
  func closeAll() {
    for session in sessions where files[session]?.isOpen == true { close(session) }
  }
}

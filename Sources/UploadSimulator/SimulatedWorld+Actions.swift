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
    case .create: create()
    case .append: anyFile { $0.isOpen }.map { append($0) }
    case .rewrite: anyFile { $0.isOpen && $0.size > 0 }.map { rewrite($0) }
    case .truncate: anyFile { _ in true }.map { truncate($0) }
    case .close: anyFile { $0.isOpen }.map { close($0) }
    case .reopen: anyFile { !$0.isOpen }.map { reopen($0) }
    case .rename: anyFile { _ in true }.map { rename($0) }
    case .delete: anyFile { _ in true }.map { delete($0) }
    case .retag: anyFile { _ in true }.map { post(.renamed($0, files[$0]?.facts ?? SessionFacts(path: [], inode: 0))) }
    case .sync:
      anyFile { _ in true }.map {
        files[$0]?.sync()
        journal.sync()
      }
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
    case .networkChanged: post(.networkChanged)
    case .partition: breakNetwork()
    case .receiverCrash: crashReceiver()
    case .receiverForgets: receiverForgets()
    case .kill: kill()
    case .killSoon: callsToLive = Int.random(in: 0...20, using: &generator)
    case .powerCut: cutPower()
    case .journalFails:
      journal.isFailing = true
      journalFailsUntil = now + generator.span(upTo: weights.outageMax)
    case .clockJump: clock.advance(to: now + generator.span(upTo: .seconds(600)))
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

  // MARK: People and machines

  private func breakNetwork() {
    unreachableUntil = now + generator.span(upTo: weights.outageMax)
    isBlackHole = Bool.random(using: &generator)
  }

  /// What was acknowledged stays; what was not may be either way. For a while nobody listens.
  private func crashReceiver() {
    let requests = active
    active = []
    for request in requests {
      if Bool.random(using: &generator) { _ = receiver.answer(request.payload) }
      reports.append(.transferred(request.transfer.id, .unreachable("connection reset")))
      checker.reported(.unreachable(""), to: request.transfer, at: now)
    }
    unreachableUntil = max(unreachableUntil, now + generator.span(upTo: weights.outageMax))
    isBlackHole = false
  }

  /// Only of sessions that will still be completed: a client does not ask again for what it was told is whole.
  private func receiverForgets() {
    let completing = active.compactMap { request in
      if case .complete(let session) = request.transfer.request { session } else { nil }
    }
    let candidates = sessions.filter { session in
      guard let row = journal.rows.sessions[session] else { return false }
      return !row.isSynced && !completing.contains(session)
    }
    guard let session = generator.element(of: candidates) else { return }
    checker.forgetful.insert(session)
    if Bool.random(using: &generator) {
      receiver.forget(session)
    } else if let index = generator.element(of: (receiver.sessions[session]?.chunks.keys.sorted() ?? [])) {
      receiver.lose(ChunkID(session, index))
    }
  }

  /// SIGKILL of the worker: memory is gone, files and committed rows are not. What is on the wire may still arrive.
  func kill() {
    guard !isDead else { return }
    note("☠ killed")
    isDead = true
    callsToLive = nil
    for request in active where Bool.random(using: &generator) { _ = receiver.answer(request.payload) }
    active = []
    reports = []
    mail = []
    process += 1
  }

  private func cutPower() {
    kill()
    note("☠ power cut")
    journal.cutPower()
    for session in sessions {
      guard var file = files[session] else { continue }
      file.isOpen = false
      file.isRolledBack = true
      if file.isDirty { revert(&file) }
      files[session] = file
    }
  }

  /// Unsynced bytes: all of them survived, or none, or some chunks.
  private func revert(_ file: inout SimulatedFile) {
    switch Int.random(in: 0..<3, using: &generator) {
    case 0: return
    case 1:
      file.size = file.syncedSize
      file.contents = file.syncedContents
    default:
      for index in file.contents.indices where index < file.syncedContents.count {
        let bytes = ChunkLayout.byteCount(of: index, size: file.size)
        let isSameLength = ChunkLayout.byteCount(of: index, size: file.syncedSize) == bytes
        if isSameLength, Bool.random(using: &generator) { file.contents[index] = file.syncedContents[index] }
      }
    }
  }

  /// Somebody looks after sessions that the destination refused, not more than once in ten seconds.
  /// - Returns: whether there were any.
  func releaseRefused() -> Bool {
    guard now >= lastRelease + .seconds(10) || checker.sleptForEver else { return false }
    lastRelease = now
    let refused = sessions.filter { journal.rows.sessions[$0]?.failure != nil }
    for session in refused { command(.release(session)) }
    return !refused.isEmpty
  }

  /// Faults stop, everybody closes and goes home; from here on all must settle.
  func heal() {
    note("✚ healed")
    isHealed = true
    unreachableUntil = now
    journal.isFailing = false
    callsToLive = nil
    // Resuming looks at the destination at once; without, the uploader has to find back by itself.
    if isPaused { command(.resumeAll) }
    command(.limit(bytesPerSecond: nil))
    for session in sessions where files[session] != nil {
      if files[session]?.isOpen == true { close(session) }
      command(.release(session))
    }
  }
}

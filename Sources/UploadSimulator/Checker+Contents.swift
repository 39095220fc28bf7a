import UploadCore
import UploadProtocol

/// I1, I2, I3 and I6: what is where.
extension Checker {
  // MARK: I1 and I6, when all has settled

  /// nil when everything local is whole at the receiver and the journal says so.
  static func unsettled(_ world: SimulatedWorld) -> String? {
    for session in world.sessions {
      guard let row = world.journal.rows.sessions[session] else { return "\(session.number) not in the journal" }
      guard row.isSynced else { return "\(session.number) not synced" }
      guard row.truncations.isEmpty else { return "\(session.number) was cut, and the uploader never said that it knows" }
    }
    for session in world.sessions {
      guard let file = world.files[session] else { continue }
      guard let recording = world.recording(of: session, path: file.path) else { return "\(session.number) not at the destination" }
      guard recording.size == file.size, recording.digests == (0..<file.chunkCount).map({ file.digest(of: $0) })
      else {
        return "\(session.number) differs at the receiver: \(recording.size) bytes there, \(file.size) here, "
          + "\(recording.digests) \((0..<file.chunkCount).map { file.digest(of: $0) })"
      }
      if world.destination.kind == .chunks, world.receiver.sessions[session]?.path != file.path {
        return "\(session.number) has another path at the receiver"
      }
      for index in file.holes.indexes where world.fetchable(ChunkID(session, index)) != file.digest(of: index) {
        return "chunk \(index) of \(session.number) was evicted, and cannot be fetched back"
      }
    }
    return nil
  }

  // MARK: I2

  mutating func recorded(_ fact: JournalFact, _ world: SimulatedWorld) {
    switch fact {
    case .stored(let chunk, let version, let digest):
      guard !forgetful.contains(chunk.session), world.files[chunk.session] != nil else { return }
      if !world.isHeld(chunk, version, digest) {
        fail("I2", "journal says chunk \(chunk.index) is stored as \(version), the destination does not have that")
      }
    case .synced(let session, let revision):
      forgetful.remove(session)
      checkWhole(session, revision, world)
    case .held(let session, let isHeld): if isHeld { held.insert(session) } else { held.remove(session) }
    case .failureCleared(let session):
      // A refused recording that changed, or was asked about, gets another chance at once.
      failedAt[session] = nil
    default: break
    }
  }

  /// The journal says that the recording is whole at the receiver, as the journal knows it.
  private mutating func checkWhole(_ session: SessionID, _ revision: Int64, _ world: SimulatedWorld) {
    guard let row = world.journal.rows.sessions[session], row.isSynced, row.revision == revision else { return }
    guard let recording = world.recording(of: session, path: row.facts.path), recording.size == row.size else {
      return fail("I2", "journal says \(session.number) is synced, receiver has no such recording")
    }
    for (index, digest) in recording.digests.enumerated() where row.chunks[index]?.digest != digest {
      return fail("I2", "journal says \(session.number) is synced, chunk \(index) differs at the receiver")
    }
  }

  mutating func loaded(_ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest) {
    if let old = sent[chunk] {
      if old.version == version, old.digest != digest { fail("I2", "chunk \(chunk.index) has two contents as \(version)") }
      if old.version > version { fail("I2", "chunk \(chunk.index) went back from \(old.version) to \(version)") }
    }
    sent[chunk] = (version, digest)
  }

  /// After the receiver lost what it had not synced: whatever the journal vouches for is still there.
  mutating func checkKept(_ world: SimulatedWorld) {
    guard world.destination.kind == .chunks else { return }
    for session in world.sessions where !forgetful.contains(session) {
      guard let row = world.journal.rows.sessions[session] else { continue }
      for (index, chunk) in row.chunks.sorted(by: { $0.key < $1.key }) where chunk.isConfirmed {
        let held = world.receiver.chunk(ChunkID(session, index))
        let isTrue = held.map { held in
          held.digest == chunk.digest || (chunk.state == .stored && held.version > chunk.version)
        }
        if isTrue != true { fail("I2", "the receiver lost chunk \(index) of \(session.number), which it had confirmed") }
      }
    }
  }

  // MARK: I3

  mutating func published(_ notices: [UploadNotice], _ summary: UploadSummary, _ world: SimulatedWorld) {
    for notice in notices {
      switch notice {
      case .chunkUploaded(let chunk) where !world.journal.everStored.contains(chunk) && !forgetful.contains(chunk.session):
        // The spool may have reopened it in between; then no row says stored, but the receiver still has it.
        if world.destination.kind == .chunks, world.receiver.chunk(chunk) == nil {
          fail("I3", "told that chunk \(chunk.index) is uploaded, journal never said so")
        }
      case .sessionUploadComplete(let session) where !world.journal.everSynced.contains(session):
        // The same for a recording that changed while its completion was on its way back.
        let path = world.journal.rows.sessions[session]?.facts.path ?? []
        if world.recording(of: session, path: path) == nil, !forgetful.contains(session) {
          fail("I3", "told that \(session.number) is complete, journal never said so")
        }
      default: break
      }
    }
    journalLags = summary.journalError != nil
    isPaused = summary.isPausedByUser && !world.mail.contains { if case .control = $0 { true } else { false } }
    if summary.inFlight > world.policy.parallel { fail("I4", "\(summary.inFlight) in flight") }
    if summary.troubled.count > 1_000 { fail("I4", "the summary is not bounded") }
  }

  // MARK: I6

  /// What the journal holds as sealed is on the scheduler's list, so that it is sent without waiting for anything.
  mutating func checkQueue(of scheduler: UploadScheduler, _ world: SimulatedWorld) {
    guard !journalLags else { return }
    for session in world.sessions {
      guard let row = world.journal.rows.sessions[session], let file = world.files[session] else { continue }
      for index in 0..<file.chunkCount where row.chunks[index]?.state == .sealed {
        guard !scheduler.knows(ChunkID(session, index)) else { continue }
        fail("I6", "chunk \(index) of \(session.number) is sealed, and the scheduler has forgotten it")
      }
    }
  }

  /// In peace no sealed byte waits longer than `longest`, however busy the recorders are.
  mutating func checkAges(_ world: SimulatedWorld, longest: Span) {
    // Elsewhere the first part, the head, and what is appended behind a busy chunk wait for the close.
    guard world.destination.kind == .chunks, let healedAt = world.healedAt.map({ max($0, world.linkFreeAt) }),
      healedAt + longest < world.now
    else { return }
    for session in world.sessions {
      guard let row = world.journal.rows.sessions[session] else { continue }
      for (index, chunk) in row.chunks.sorted(by: { $0.key < $1.key }) where chunk.state == .sealed {
        guard let since = chunk.waitsSince, max(since, healedAt) + longest < world.now else { continue }
        fail("I6", "chunk \(index) of \(session.number) starves")
      }
    }
  }
}

import UploadCore
import UploadProtocol

/// Local bytes of stored chunks: given up when room is needed, fetched back when they are read or changed.
extension SimulatedWorld {
  /// What the evictor does with one recording: size and bytes synced, the journal durable, and only then the holes.
  func evict(_ session: SessionID) {
    guard var file = files[session], !journal.isFailing, !checker.forgetful.contains(session) else { return }
    // Since a power cut the destination may hold other bytes than the journal says, until it has confirmed the whole.
    if journal.rows.sessions[session]?.isSynced == true { doubted.remove(session) }
    guard !doubted.contains(session), mayBeEvicted(session) else { return }
    let candidates = evictable(file)
    guard !candidates.isEmpty else { return }
    file.sync()
    journal.commit(.evict(session, candidates), at: now)
    journal.sync()
    for index in candidates {
      checker.evicting(ChunkID(session, index), file, self)
      file.punch(index)
    }
    note("  evict \(session.number) \(candidates)", session.number, Int64(candidates.count))
    files[session] = file
  }

  /// A tus server gives nothing back, a store whole recordings.
  private func mayBeEvicted(_ session: SessionID) -> Bool {
    switch destination.kind {
    case .chunks: true
    case .parts: journal.rows.sessions[session]?.isSynced == true
    case .appended: false
    }
  }

  private func evictable(_ file: SimulatedFile) -> [Int] {
    let rows = journal.rows.sessions[file.session]?.chunks ?? [:]
    let isChosen = Bool.random(using: &generator)
    return (0..<file.chunkCount).filter { index in
      guard rows[index]?.state == .stored, file.tracker.isHandedOff(index), !file.fetching.contains(index) else { return false }
      return isChosen || index % 2 == 0
    }
  }

  /// Somebody reads a chunk; one that is elsewhere is fetched, which takes its time.
  func read(_ session: SessionID) {
    guard let file = files[session], file.chunkCount > 0 else { return }
    let index = Int.random(in: 0..<file.chunkCount, using: &generator)
    guard file.holes.contains(index) else { return checker.read(ChunkID(session, index), file) }
    fetch(ChunkID(session, index))
  }

  /// Its bytes will be here in a while, if the destination is.
  func fetch(_ chunk: ChunkID) {
    guard isReachable, files[chunk.session]?.fetching.insert(chunk.index).inserted == true else { return }
    schedule(.fetched(chunk, fetchable(chunk)), after: latency() + latency())
  }

  /// Bytes came back. Meanwhile the recording may have been cut or deleted.
  func fetched(_ chunk: ChunkID, _ held: ChunkDigest?) {
    guard files[chunk.session]?.fetching.remove(chunk.index) != nil else { return }
    _ = hydrate(chunk, held)
  }

  /// A chunk that changes in part must be here in whole. - Returns: whether it is.
  func hydrate(_ chunk: ChunkID) -> Bool { isReachable && hydrate(chunk, fetchable(chunk)) }

  /// Bytes are verified, written and synced; only then the journal counts on them, durably.
  private func hydrate(_ chunk: ChunkID, _ held: ChunkDigest?) -> Bool {
    guard var file = files[chunk.session], file.holes.contains(chunk.index), !journal.isFailing, now >= diskFullUntil
    else { return false }
    guard held == file.digest(of: chunk.index) else {
      checker.cameBackDifferent(chunk, held)
      return false
    }
    file.fill(chunk.index)
    file.sync()
    journal.commit(.hydrate(chunk), at: now)
    journal.sync()
    note("  hydrated \(chunk.session.number) \(chunk.index)", chunk.session.number, Int64(chunk.index))
    files[chunk.session] = file
    checker.read(chunk, file)
    return true
  }

  var isReachable: Bool { now >= unreachableUntil }
}

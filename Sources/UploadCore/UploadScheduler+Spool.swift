import UploadProtocol

/// What recorders do, as the spool tells it. Events of a session that is not (or no longer) known are old news.
extension UploadScheduler {
  mutating func registered(_ session: SessionID, _ facts: SessionFacts) {
    guard sessions[session] == nil else { return }
    sessions[session] = SessionEntry(facts: facts, policy.geometry)
    effects.append(.record(.registered(session, facts)))
    effects.append(.announce(.sessionRegistered(session)))
    refresh(session)
  }

  mutating func restored(_ session: SessionID, _ restored: RestoredSession) {
    guard sessions[session] == nil else { return }
    sessions[session] = SessionEntry(restored, policy.geometry)
    refresh(session)
  }

  mutating func introduced(_ session: SessionID, _ restored: RestoredSession) {
    self.restored(session, restored)
    sessions[session]?.isIntroduced = true
  }

  mutating func opened(_ session: SessionID) {
    guard sessions[session] != nil else { return }
    sessions[session]?.isOpen = true
    sessions[session]?.isFinished = false
    effects.append(.record(.opened(session)))
    refresh(session)
  }

  mutating func sealed(_ chunk: ChunkID, _ version: ChunkVersion, bytes: Int) {
    guard sessions[chunk.session] != nil else { return }
    effects.append(.record(.sealed(chunk, version, bytes: bytes)))
    sessions[chunk.session]?.contentChanged()
    let place = lease(of: chunk)
    if let place {
      transfers[place].stale.insert(chunk.index)
      transfers[place].sealedAgain.insert(chunk.index)
    }
    sessions[chunk.session]?.sealed(chunk.index, isOnItsWay: place != nil)
    clearFailure(of: chunk.session)
    refresh(chunk.session)
  }

  mutating func reopened(_ chunk: ChunkID) {
    guard sessions[chunk.session] != nil else { return }
    sessions[chunk.session]?.contentChanged()
    sessions[chunk.session]?.reopened(chunk.index)
    if let place = lease(of: chunk) {
      transfers[place].stale.insert(chunk.index)
      transfers[place].sealedAgain.remove(chunk.index)
    }
    clearFailure(of: chunk.session)
    refresh(chunk.session)
  }

  mutating func truncated(_ session: SessionID, chunkCount: Int, base: ChunkVersion) {
    guard sessions[session] != nil else { return }
    effects.append(.record(.dropped(session, from: chunkCount, base: base)))
    sessions[session]?.contentChanged()
    sessions[session]?.truncated(to: chunkCount)
    for place in transfers.indices where transfers[place].request.session == session {
      for index in transfers[place].request.chunks where index >= chunkCount {
        transfers[place].stale.insert(index)
        transfers[place].sealedAgain.remove(index)
      }
    }
    refresh(session)
  }

  mutating func renamed(_ session: SessionID, _ facts: SessionFacts) {
    guard sessions[session] != nil else { return }
    sessions[session]?.facts = facts
    sessions[session]?.isAnnounced = false
    sessions[session]?.isRenamed = true
    effects.append(.record(.renamed(session, facts)))
    refresh(session)
  }

  mutating func finished(_ session: SessionID, size: Int64) {
    guard sessions[session] != nil else { return }
    sessions[session]?.isOpen = false
    sessions[session]?.isFinished = true
    sessions[session]?.size = size
    effects.append(.record(.finished(session, size: size)))
    refresh(session)
  }

  mutating func removed(_ session: SessionID) {
    guard sessions[session] != nil else { return }
    for transfer in transfers where transfer.request.session == session { cancel(transfer.id) }
    sessions[session] = nil
    troubled[session] = nil
    queue.forget(session)
    effects.append(.record(.removed(session)))
  }

  /// A refused session gets another chance when it changes, or when somebody asks.
  mutating func clearFailure(of session: SessionID) {
    guard sessions[session]?.failure != nil else { return }
    sessions[session]?.failure = nil
    sessions[session]?.corruptions = 0
    effects.append(.record(.failureCleared(session)))
  }

  /// The attempt that carries `chunk`; never more than one.
  func lease(of chunk: ChunkID) -> Int? {
    transfers.firstIndex { $0.request.session == chunk.session && $0.request.chunks.contains(chunk.index) }
  }
}

import UploadProtocol

/// What recorders do, as the spool tells it. Events of a session that is not (or no longer) known are old news.
extension UploadScheduler {
  mutating func registered(_ session: SessionID, _ facts: SessionFacts) {
    guard sessions[session] == nil else { return }
    sessions[session] = SessionEntry(facts: facts)
    effects.append(.record(.registered(session, facts)))
    effects.append(.announce(.sessionRegistered(session)))
    refresh(session)
  }

  mutating func restored(_ session: SessionID, _ restored: RestoredSession) {
    guard sessions[session] == nil else { return }
    sessions[session] = SessionEntry(restored)
    refresh(session)
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
    if let place = lease(of: chunk) {
      transfers[place].isStale = true
      transfers[place].isSealedAgain = true
    } else {
      sessions[chunk.session]?.pending.insert(chunk.index)
    }
    clearFailure(of: chunk.session)
    refresh(chunk.session)
  }

  mutating func reopened(_ chunk: ChunkID) {
    guard sessions[chunk.session] != nil else { return }
    sessions[chunk.session]?.contentChanged()
    sessions[chunk.session]?.isFinished = false
    sessions[chunk.session]?.pending.remove(chunk.index)
    if let place = lease(of: chunk) {
      transfers[place].isStale = true
      transfers[place].isSealedAgain = false
    }
    clearFailure(of: chunk.session)
    refresh(chunk.session)
  }

  mutating func truncated(_ session: SessionID, chunkCount: Int, base: ChunkVersion) {
    guard sessions[session] != nil else { return }
    effects.append(.record(.dropped(session, from: chunkCount, base: base)))
    sessions[session]?.contentChanged()
    sessions[session]?.isFinished = false
    sessions[session]?.pending.removeAll(from: chunkCount)
    for place in transfers.indices {
      guard case .chunk(let chunk) = transfers[place].request, chunk.session == session, chunk.index >= chunkCount
      else { continue }
      transfers[place].isStale = true
      transfers[place].isSealedAgain = false
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

  private func lease(of chunk: ChunkID) -> Int? {
    transfers.firstIndex { $0.request == .chunk(chunk) }
  }
}

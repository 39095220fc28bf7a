import UploadProtocol

/// What destinations of other geometries answer.
extension UploadScheduler {
  /// Facts are true whatever became of the session since: the destination said so.
  mutating func remember(_ facts: [RemoteFact], of session: SessionID) {
    guard sessions[session] != nil else { return }
    for fact in facts { effects.append(.record(.remote(session, fact))) }
  }

  /// A receipt for a run, or for the chunks that travelled with a completion.
  mutating func runStored(_ transfer: InFlight, _ session: SessionID, _ chunks: [StoredChunk]) {
    succeeded(session)
    sessions[session]?.corruptions = 0
    sessions[session]?.detours = 0
    let carried = Set(chunks.map(\.index))
    for index in transfer.request.chunks where !carried.contains(index) || transfer.sealedAgain.contains(index) {
      // Left out of the request, or sealed again since. One that is open comes by itself.
      guard !transfer.stale.contains(index) || transfer.sealedAgain.contains(index) else { continue }
      sessions[session]?.putBack(index..<index + 1)
    }
    if case .complete = transfer.request {
      // What changed meanwhile is pending or open, and it is not known which of it was read.
      guard sessions[session]?.isChanged == false else { return }
      for chunk in chunks { sessions[session]?.stored(chunk.index) }
    }
    for chunk in chunks where !transfer.stale.contains(chunk.index) {
      let id = ChunkID(session, chunk.index)
      effects.append(.record(.stored(id, chunk.version, chunk.digest)))
      effects.append(.announce(.chunkUploaded(id)))
    }
  }

  /// What was stored from `index` on is lost, or cannot be kept: it is sent again.
  mutating func rolledBack(_ transfer: InFlight, _ session: SessionID, to index: Int) {
    putBack(transfer)
    guard sessions[session] != nil else { return }
    sessions[session]?.rolledBack(to: index)
    effects.append(.record(.unannounced(session)))
    effects.append(.record(.rolledBack(session, to: index)))
    detour(transfer, "the destination lost what it had of this recording, or could not keep it")
  }

  /// The destination has said in what pieces it takes recordings.
  mutating func discovered(_ geometry: TransferGeometry) {
    guard geometry != policy.geometry, policy.geometry != .chunks, geometry != .chunks else { return }
    policy.geometry = geometry
    for session in sessions.keys.sorted() {
      sessions[session]?.adopt(geometry)
      refresh(session)
    }
  }
}

extension SessionEntry {
  /// Chunk `index` travelled with the completion.
  mutating func stored(_ index: Int) {
    pending.remove(index)
    planner?.changed(index..<index + 1, pending)
  }

  /// Every sealed chunk from `index` on that is not on its way waits again.
  mutating func rolledBack(to index: Int) {
    isAnnounced = false
    mustBeAnnounced = false
    isSynced = false
    guard var planner else { return }
    planner.rolledBack()
    for run in planner.sealed.ranges where run.upperBound > index {
      pending.insert(run.clamped(to: index..<max(index, run.upperBound)))
    }
    for run in planner.leased.ranges { for index in run { pending.remove(index) } }
    planner.changed(index..<max(index, planner.end), pending)
    self.planner = planner
  }

  mutating func adopt(_ geometry: TransferGeometry) { planner?.adopt(geometry, pending) }
}

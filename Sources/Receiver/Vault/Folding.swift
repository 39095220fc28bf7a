import Logging
import UploadProtocol

/// Moving parts into the growing recording as soon as they are next in line.
extension VaultWriter {
  /// Chunks folded in one round, so that uploads that arrive meanwhile wait for at most that much copying.
  static let foldsPerRoundMax = 32

  /// Copies parts of all sessions that have some to fold. A part is removed only after the commit, so a crash in the
  /// middle is repaired by folding again.
  func fold(_ round: inout StoringRound) {
    var left = Self.foldsPerRoundMax
    for state in sessions.values where state.mustFold && left > 0 {
      do throws(ReceiverError) {
        try fold(state, &left, &round)
      } catch {
        // Tried again with the session's next chunk or completion; the parts keep everything until then.
        state.mustFold = false
        logger.warning("folding failed", metadata: ["session": "\(state.record.id)", "reason": "\(error)"])
        answerWaiting(state, error)
      }
    }
  }

  private func fold(_ state: SessionState, _ left: inout Int, _ round: inout StoringRound) throws(ReceiverError) {
    guard state.record.isPrepared, !state.record.isComplete else {
      state.mustFold = false
      return
    }
    try foldOverlays(state, &left, &round)
    while left > 0 {
      guard !round.hasChange(state, state.record.folded), let chunk = try partNextInLine(state) else { break }
      try stored { () throws(IOFailure) in
        let part = try state.shard(of: chunk.index).file(DataFolder.partName(of: chunk.index), .read)
        try append(chunk.index, state, &round) { file, offset throws(IOFailure) in
          try part.copy(Int64(chunk.byteCount), at: 0, to: file, at: offset)
        }
        try removePart(chunk.index, state, &round)
      }
      try markFolded(chunk, state, &left, &round)
    }
    let isBlocked = round.hasChange(state, state.record.folded)
    let hasOverlay = try overlays(state, limit: 1).isEmpty == false
    state.mustFold = left == 0 || isBlocked || hasOverlay
  }

  /// Newer versions of chunks that the growing recording holds already are copied over the older bytes.
  private func foldOverlays(
    _ state: SessionState, _ left: inout Int, _ round: inout StoringRound
  ) throws(ReceiverError) {
    for chunk in try overlays(state, limit: left) where !round.hasChange(state, chunk.index) {
      try stored { () throws(IOFailure) in
        let part = try state.shard(of: chunk.index).file(DataFolder.partName(of: chunk.index), .read)
        let recording = try state.recording()
        if recording.isNewlyOpened { round.sync(try state.temp()) }
        let offset = Int64(chunk.index) * Int64(ChunkLayout.chunkBytes)
        try part.copy(Int64(chunk.byteCount), at: 0, to: recording.file, at: offset)
        round.sync(recording.file)
        try removePart(chunk.index, state, &round)
      }
      try markFolded(chunk, state, &left, &round)
    }
  }

  private func markFolded(
    _ chunk: ChunkRecord, _ state: SessionState, _ left: inout Int, _ round: inout StoringRound
  ) throws(ReceiverError) {
    var folded = chunk
    folded.place = .recording
    round.change(state, folded)
    left -= 1
  }

  private func overlays(_ state: SessionState, limit: Int) throws(ReceiverError) -> [ChunkRecord] {
    let (number, folded) = (state.record.number, state.record.folded)
    return try cataloged { catalog throws(CatalogError) in
      try catalog.readSingle { db in
        try ChunkRecord.fetchOverlays(db, session: number, below: folded, limit: limit)
      }
    }
  }

  private func partNextInLine(_ state: SessionState) throws(ReceiverError) -> ChunkRecord? {
    let (number, index) = (state.record.number, state.record.folded)
    let chunk = try cataloged { catalog throws(CatalogError) in
      try catalog.readSingle { db in try ChunkRecord.fetch(db, session: number, index: index) }
    }
    return chunk?.place == .part ? chunk : nil
  }
}

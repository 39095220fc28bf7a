import Logging
import NIOCore
import UploadProtocol

struct PendingUpload {
  let upload: ChunkUpload
  let answer: Answer<Void>
}

/// Storing chunks, many at once.
extension VaultWriter {
  /// Stores `uploads` and folds what is next in line, in as few commits as possible; answers all.
  func storeTogether(_ uploads: [PendingUpload]) {
    // In order within a session, so that what arrived out of order together is still appended without a part.
    var pending = uploads.sorted { left, right in
      (left.upload.session.description, left.upload.index, left.upload.version)
        < (right.upload.session.description, right.upload.index, right.upload.version)
    }
    repeat { pending = storeRound(pending) } while !pending.isEmpty
  }

  /// One group commit.
  /// - Returns: uploads of a chunk that already changed in this round; they go into the next one.
  private func storeRound(_ uploads: [PendingUpload]) -> [PendingUpload] {
    var round = StoringRound()
    var answers: [(Answer<Void>, Result<Void, ReceiverError>)] = []
    var later: [PendingUpload] = []
    for pending in uploads {
      if let state = sessions[pending.upload.session], round.hasChange(state, pending.upload.index) {
        later.append(pending)
      } else {
        answers.append((pending.answer, outcome { () throws(ReceiverError) in try place(pending.upload, &round) }))
      }
    }
    fold(&round)
    if let failure = finish(round) {
      answers = answers.map { ($0.0, $0.1.flatMap { .failure(failure) }) }
    }
    for (answer, result) in answers { answer(result) }
    return later
  }

  /// Commits a round.
  /// - Returns: why nothing of it counts; the sessions are then read again from the catalog.
  private func finish(_ round: StoringRound) -> ReceiverError? {
    if round.isEmpty { return nil }
    do throws(ReceiverError) { try round.commit(to: catalog) } catch {
      logger.error("storing failed", metadata: ["reason": "\(error)"])
      for state in round.sessions.values { forget(state, because: error) }
      return error
    }
    do throws(IOFailure) { try round.settleNames() } catch {
      // What was stored is durable; the names are settled at the next start at the latest.
      logger.warning("leftover names", metadata: ["reason": "\(error)"])
    }
    for state in round.toFold.values { state.mustFold = true }
    for state in round.sessions.values where !state.record.isPrepared { prepare(state) }
    return nil
  }

  /// Writes one chunk where it belongs, or finds that it is there already.
  private func place(_ upload: ChunkUpload, _ round: inout StoringRound) throws(ReceiverError) {
    let state = try session(upload.session)
    let number = state.record.number
    if try state.admit(writer: upload.writer) { round.touch(state) }
    let known = try cataloged { catalog throws(CatalogError) in
      try catalog.readSingle { db in try ChunkRecord.fetch(db, session: number, index: upload.index) }
    }
    if let known {
      let isSame = known.digest == upload.digest
      if upload.version < known.version || (upload.version == known.version && !isSame) {
        throw .superseded(current: known.version)
      }
      if isSame {
        if upload.version > known.version {
          var renumbered = known
          renumbered.version = upload.version
          round.change(state, renumbered)
        }
        return
      }
    }
    let before = state.record
    if state.record.isComplete { reopen(state) }
    let place: ChunkRecord.Place
    do throws(IOFailure) { place = try write(upload, over: known, state, &round) } catch {
      // Nothing was written that counts, so nothing has changed.
      state.record = before
      throw ReceiverError(error)
    }
    round.change(
      state,
      ChunkRecord(
        index: upload.index, version: upload.version, byteCount: upload.bytes.readableBytes, digest: upload.digest,
        place: place))
  }

  private func write(
    _ upload: ChunkUpload, over known: ChunkRecord?, _ state: SessionState, _ round: inout StoringRound
  ) throws(IOFailure) -> ChunkRecord.Place {
    if state.record.isPrepared && upload.index == state.record.folded {
      try append(upload.index, state, &round) { file, offset throws(IOFailure) in
        try file.write(upload.bytes, at: offset)
      }
      if known?.place == .part { try removePart(upload.index, state, &round) }
      state.mustFold = true
      return .recording
    }
    try writePart(upload, replacesPart: known?.place == .part, state, &round)
    if state.record.isPrepared && upload.index < state.record.folded { round.foldLater(state) }
    return .part
  }

  /// Writes chunk `index`, which is next in line, at the end of the growing recording.
  func append(
    _ index: Int, _ state: SessionState, _ round: inout StoringRound,
    _ write: (OpenFile, Int64) throws(IOFailure) -> Void
  ) throws(IOFailure) {
    precondition(index == state.record.folded, "only the next chunk is appended")
    let recording = try state.recording()
    if recording.isNewlyOpened { round.sync(try state.temp()) }
    try write(recording.file, Int64(index) * Int64(ChunkLayout.chunkBytes))
    round.sync(recording.file)
    round.touch(state)
    state.record.folded += 1
  }

  /// Writes a part under a temporary name. It gets its own name before the commit when nothing that the catalog
  /// knows has that name, otherwise after it: the acknowledged older version stays until then.
  private func writePart(
    _ upload: ChunkUpload, replacesPart: Bool, _ state: SessionState, _ round: inout StoringRound
  ) throws(IOFailure) {
    let shard = try state.shard(of: upload.index)
    let newName = DataFolder.newPartName(of: upload.index, version: upload.version)
    let name = DataFolder.partName(of: upload.index)
    do throws(IOFailure) {
      let file = try shard.file(newName, .replace)
      try file.write(upload.bytes, at: 0)
      if replacesPart {
        round.sync(file)
        round.renameAfterCommit(newName, to: name, in: shard)
      } else {
        // Synced alone: a name must never appear before its bytes.
        try file.synchronize()
        try shard.rename(newName, to: shard, as: name)
      }
    } catch {
      // Gives the space back on a full disk; what cannot be removed now is removed at the next start.
      _ = try? shard.remove(newName)
      throw error
    }
    round.sync(shard)
  }

  func removePart(_ index: Int, _ state: SessionState, _ round: inout StoringRound) throws(IOFailure) {
    round.removeAfterCommit(DataFolder.partName(of: index), in: try state.shard(of: index))
  }
}

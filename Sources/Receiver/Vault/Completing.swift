import Logging
import UploadProtocol

/// Turning a growing recording into the whole one.
extension VaultWriter {
  /// Chunks named in one `incomplete` answer.
  static let missingMax = 10_000

  /// Answers at once, or after what must be folded or copied first.
  func complete(_ completion: Completion, _ answer: Answer<CompletedRecording>) {
    let result = outcome { () throws(ReceiverError) in try tryToComplete(completion) }
    switch result {
    case .success(let recording?): answer(.success(recording))
    case .failure(let error): answer(.failure(error))
    case .success(nil):
      guard let state = sessions[completion.announcement.session], state.waiting.count < SessionState.waitingMax else {
        return answer(.failure(.busy(retryAfterSeconds: 1)))
      }
      state.waiting.append((completion, answer))
    }
  }

  func retryWaitingCompletions() {
    for state in sessions.values where !state.waiting.isEmpty && !state.mustFold && state.record.isPrepared {
      let waiting = state.waiting
      state.waiting = []
      for entry in waiting { complete(entry.completion, entry.answer) }
    }
  }

  /// - Returns: nil when the session must first be folded or copied; `mustFold` or `prepare` was started then.
  private func tryToComplete(_ completion: Completion) throws(ReceiverError) -> CompletedRecording? {
    let state = try announce(completion.announcement)
    let number = state.record.number
    let count = ChunkLayout.chunkCount(size: completion.size)
    let found = try cataloged { catalog throws(CatalogError) in
      try catalog.read { db in
        let missing = try ChunkRecord.differences(
          db, session: number, size: completion.size, digests: completion.digests, limit: Self.missingMax)
        let overlays = try ChunkRecord.fetchOverlays(db, session: number, below: count, limit: 1)
        return (missing: missing, isInParts: !overlays.isEmpty)
      }
    }
    guard found.missing.isEmpty else { throw .incomplete(missing: found.missing) }
    let path = try path(of: state)
    if state.record.isComplete {
      if state.record.size == completion.size, let chain = state.record.chain {
        return CompletedRecording(size: completion.size, chain: chain, path: path)
      }
      // The recorder cut its file without changing a chunk that stays.
      reopen(state)
      try commit(state)
    }
    if !state.record.isPrepared {
      prepare(state)
      guard preparing.contains(state.record.id) else { throw .storage("the whole recording cannot be copied") }
      return nil
    }
    if found.isInParts || state.record.folded < count {
      state.mustFold = true
      return nil
    }
    return try finish(state, path, completion)
  }

  /// The announced path; a session that was never announced is called by its id.
  private func path(of state: SessionState) throws(ReceiverError) -> RecordingPath {
    if let path = state.record.path { return path }
    let path = try RecordingPath(device: "unknown".utf8, path: state.record.id.description.utf8)
    state.record.path = path
    return path
  }

  /// Reads no chunk again and copies nothing: the bytes are where they belong, and their digests are known.
  private func finish(
    _ state: SessionState, _ path: RecordingPath, _ completion: Completion
  ) throws(ReceiverError) -> CompletedRecording {
    let chain = DigestChain.link(completion.digests)
    let completed = Self.now
    let manifest = RecordingManifestFile(
      session: state.record.id, path: path, size: completion.size, digests: completion.digests, chain: chain,
      metadata: state.record.metadata, completedMilliseconds: completed)
    try stored { () throws(IOFailure) in
      let recording = try state.recording()
      try recording.file.truncate(to: completion.size)
      try recording.file.synchronize()
      try state.temp().write(manifest.bytes, synced: DataFolder.newManifestName)
      try state.temp().synchronize()
    }
    let count = ChunkLayout.chunkCount(size: completion.size)
    state.record.isComplete = true
    state.record.size = completion.size
    state.record.chain = chain
    state.record.folded = count
    state.record.completed = completed
    state.record.mustPublish = true
    let record = state.record
    do throws(ReceiverError) {
      try cataloged { catalog throws(CatalogError) in
        try catalog.write { db in
          try ChunkRecord.delete(db, session: record.number, from: count)
          try record.update(db)
        }
      }
    } catch {
      forget(state, because: error)
      throw error
    }
    try publish(state)
    return CompletedRecording(size: completion.size, chain: chain, path: path)
  }
}

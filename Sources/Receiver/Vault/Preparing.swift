import Logging
import SystemPackage

/// A completed recording that changes again gets a growing recording of its own: a copy of the whole one, which
/// stays as it is until the next completion.
extension VaultWriter {
  /// Marks a complete session as receiving again. The caller commits it and then calls `prepare`.
  func reopen(_ state: SessionState) {
    state.record.isComplete = false
    state.record.isPrepared = false
  }

  /// Starts the copy unless it runs already. Chunks that arrive meanwhile wait in parts.
  func prepare(_ state: SessionState) {
    let name = state.record.id
    guard !preparing.contains(name), let resume else { return }
    do throws(IOFailure) {
      guard let whole = state.record.whole else {
        throw IOFailure(errno: .noSuchFileOrDirectory, action: "find the whole recording of \(name)")
      }
      let source = try state.folder().file(whole, .read)
      let target = try state.temp().file(DataFolder.copyName, .replace)
      preparing.insert(name)
      copier.copy(state.record.size, of: source, to: target) { failure in resume(.prepared(name, failure)) }
    } catch {
      logger.error("a changed recording cannot be prepared", metadata: ["session": "\(name)", "reason": "\(error)"])
      answerWaiting(state, ReceiverError(error))
    }
  }

  /// Puts the finished copy in place, and folds what arrived meanwhile.
  func finishPreparing(_ name: SessionName, _ failure: IOFailure?) {
    preparing.remove(name)
    let result = outcome { () throws(ReceiverError) in
      let state = try session(name)
      if state.record.isPrepared { return }
      do throws(ReceiverError) {
        if let failure { throw ReceiverError(failure) }
        try stored { () throws(IOFailure) in
          let temp = try state.temp()
          try temp.rename(DataFolder.copyName, to: temp, as: DataFolder.recordingName)
          try temp.synchronize()
        }
      } catch {
        // Tried again with the session's next chunk or completion, and at the next start.
        answerWaiting(state, error)
        throw error
      }
      state.record.isPrepared = true
      try commit(state)
      state.mustFold = true
    }
    if case .failure(let error) = result {
      logger.error("preparing failed", metadata: ["session": "\(name)", "reason": "\(error)"])
    }
  }
}

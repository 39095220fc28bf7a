internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import UploadCore
internal import UploadProtocol

// Changing bytes: every change is announced before and ended after, so that no chunk is sealed in between, and the journal
// hears first of changes to what it vouches for.
extension Recording {
  /// Bytes `offset..<offset + count` are about to change. Returns when the journal knows whatever it must; then change
  /// them, and call `endWrite` whatever came of it.
  public func beginWrite(offset: Int64, count: Int64) throws(SpoolError) -> Change? {
    try Self.check(end: offset, plus: count)
    // A hole before them takes none.
    try spool.evictor.makeRoom(min(growth(to: offset + count), count))
    return try begin { $0.beginWrite(offset: offset, count: count, now: $1) } undo: {
      _ = $0.endWrite($1, offset: offset, written: 0, now: $2)
    }
  }

  public func endWrite(_ change: Change?, offset: Int64, written: Int64) {
    guard let change else {
      // It got its name while these bytes were written.
      if written > 0, !isRemoved, let change = try? beginWrite(offset: offset, count: written) {
        endWrite(change, offset: offset, written: written)
      }
      return
    }
    state.withLock { state in
      state.hasChanged()
      let now = spool.clock.now
      if written > 0 { state.lastChange = now }
      let seals = !spool.hasMailEnough
      let sealed =
        state.tracker?.endWrite(change.change, offset: offset, written: written, seals: seals, now: now) ?? []
      for chunk in sealed {
        post(chunk, state)
        account(&state)
      }
      if !seals, !state.isDraining, state.tracker?.isSealed == false, !state.isRemoved {
        (state.isWatched, state.isDraining) = (true, true)
        spool.drain(self)
      }
      watch(&state)
    }
  }

  /// Makes the recording `size` bytes long.
  public func truncate(to size: Int64) throws(SpoolError) {
    try resize(to: size) { () throws(SpoolError) in
      try placing.withLock { _ throws(SpoolError) in try Backing.truncate(descriptor, to: size) }
    }
  }

  /// EFBIG, as a file system answers that has a limit.
  private static func check(end offset: Int64, plus count: Int64) throws(SpoolError) {
    guard offset <= ChunkLayout.sizeMax, count <= ChunkLayout.sizeMax - offset else {
      throw .io(.fileTooLarge, what: "a recording has at most \(ChunkLayout.sizeMax) bytes")
    }
  }

  private func resize(to size: Int64, _ body: () throws(SpoolError) -> Void) throws(SpoolError) {
    try Self.check(end: size, plus: 0)
    let change = try begin { $0.beginTruncate(to: size, now: $1) } undo: {
      $0.endTruncate($1, to: $0.size, now: $2)
    }
    var done = size
    defer { endTruncate(change, to: done) }
    do {
      try body()
    } catch {
      done = (try? Backing.status(descriptor).size) ?? size
      throw error
    }
  }

  /// fallocate(2): reserving space changes no byte, punching and zeroing do, and either may extend the recording.
  public func allocate(mode: Int32, offset: Int64, count: Int64) throws(SpoolError) {
    try Self.check(end: offset, plus: count)
    let size = try Backing.status(descriptor).size
    let end = offset + count
    let erases = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) != 0
    let erased = erases ? max(0, min(end, size) - offset) : 0
    let change = try beginWrite(offset: offset, count: erased)
    defer { endWrite(change, offset: offset, written: erased) }
    guard mode & FALLOC_FL_KEEP_SIZE == 0, end > size else {
      return try Backing.allocate(descriptor, mode: mode, offset: offset, count: count)
    }
    try resize(to: end) { () throws(SpoolError) in
      try Backing.allocate(descriptor, mode: mode, offset: offset, count: count)
    }
  }

  private func endTruncate(_ change: Change?, to size: Int64) {
    guard let change else {
      // As for a write: it may have got its name meanwhile.
      let change = isRemoved ? nil : try? begin { $0.beginTruncate(to: size, now: $1) } undo: {
        $0.endTruncate($1, to: $0.size, now: $2)
      }
      if let change { endTruncate(change, to: size) }
      return
    }
    state.withLock { state in
      state.hasChanged()
      let now = spool.clock.now
      state.lastChange = now
      state.tracker?.endTruncate(change.change, to: size, now: now)
      account(&state)
      watch(&state)
    }
  }

  /// A change of bytes that is under way.
  public struct Change: Sendable {
    let change: ChunkTracker.Change
  }

  private func begin(
    _ begin: (inout ChunkTracker, Instant) -> ChunkTracker.Change,
    undo: (inout ChunkTracker, ChunkTracker.Change, Instant) -> Void
  ) throws(SpoolError) -> Change? {
    // Each turn but the last waits for another thread's journal commit, so there are as many as concurrent rewriters.
    while true {
      var missing: [Int] = []
      let step = state.withLock { state -> (change: ChunkTracker.Change, mustWait: Bool)? in
        guard !state.isRemoved, state.tracker != nil else { return nil }
        let now = spool.clock.now
        let change = begin(&state.tracker!, now)
        missing = change.touching(state.evicted) + change.touching(state.unchecked)
        if !missing.isEmpty {
          undo(&state.tracker!, change, now)
          state.tracker!.abandon(change.reopen)
          return (change, true)
        }
        guard change.isContended else {
          state.changing += 1
          return (change, false)
        }
        undo(&state.tracker!, change, now)
        state.tracker!.abandon(change.reopen)
        return (change, true)
      }
      guard let step else { return nil }
      // A chunk that changes in part must be here in whole.
      if !missing.isEmpty {
        try hydrate(missing)
        continue
      }
      if step.mustWait {
        rewriting.withLock { _ in }
        continue
      }
      if !step.change.reopen.isEmpty || step.change.dropFrom != nil { try journal(step.change, undo: undo) }
      return Change(change: step.change)
    }
  }

  private func journal(
    _ change: ChunkTracker.Change, undo: (inout ChunkTracker, ChunkTracker.Change, Instant) -> Void
  ) throws(SpoolError) {
    do {
      try rewriting.withLock { _ throws(JournalError) in
        if !change.reopen.isEmpty {
          let versions = try spool.journal.reopen(session, change.reopen)
          try markDurably()
          // An attribute that cannot be written costs a fetch after a lost journal, nothing else.
          try? unmark(change.reopen)
          state.withLock { state in
            state.tracker?.didReopen(versions)
            for index in change.reopen { spool.post(.event(.reopened(ChunkID(session, index)))) }
          }
        }
        if let count = change.dropFrom {
          let base = try spool.journal.drop(session, from: count)
          state.withLock { state in
            state.tracker?.didDrop(from: count, base: base)
            state.evicted.removeAll(from: count)
            state.unchecked.removeAll(from: count)
            spool.post(.event(.truncated(session, chunkCount: count, base: base)))
          }
          try? unmark(state.withLock { $0.marked.indexes.filter { $0 >= count } })
        }
      }
    } catch {
      state.withLock { state in
        state.changing -= 1
        guard state.tracker != nil else { return }
        state.tracker!.abandon(change.reopen)
        undo(&state.tracker!, change, spool.clock.now)
      }
      throw SpoolError(error)
    }
  }

  /// Once an opening: after a power cut, recordings that were being rewritten must be known as such.
  private func markDurably() throws(JournalError) {
    let opening = state.withLock { $0.durableOpening == $0.openings ? nil : $0.openings }
    guard let opening else { return }
    try spool.journal.makeDurable()
    state.withLock { $0.durableOpening = opening }
  }
}

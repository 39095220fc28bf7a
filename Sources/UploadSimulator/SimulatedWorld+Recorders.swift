import UploadCore
import UploadProtocol

/// Recorders: every change of bytes goes through the real `ChunkTracker`, as in the mount.
extension SimulatedWorld {
  var sizeMax: Int64 { Int64(weights.chunksMax) * Int64(ChunkLayout.chunkBytes) }

  func create() {
    guard files.count < weights.filesMax else { return }
    created += 1
    let session = SessionID(number: created)
    let file = SimulatedFile(session: session, path: Array("take\(created)".utf8), now: now)
    files[session] = file
    sessions.append(session)
    post(.registered(session, file.facts))
    post(.opened(session))
  }

  func append(_ session: SessionID) {
    guard let size = files[session]?.size else { return }
    let chunk = Int64(ChunkLayout.chunkBytes)
    let count =
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: Int64.random(in: 1...4_096, using: &generator)
      case 1: chunk - size % chunk
      case 2: chunk * Int64.random(in: 1...Int64(max(3, weights.chunksMax / 8)), using: &generator)
      default: Int64.random(in: 1...(2 * chunk), using: &generator)
      }
    write(session, offset: size, count: min(count, sizeMax - size))
  }

  func rewrite(_ session: SessionID) {
    guard let size = files[session]?.size else { return }
    // Headers mostly; sometimes past the end, which leaves a hole.
    let offset = generator.percent(50) ? 0 : Int64.random(in: 0..<size * 3 / 2 + 1, using: &generator)
    let count = Int64.random(in: 1...Int64(ChunkLayout.chunkBytes), using: &generator)
    write(session, offset: offset, count: min(count, sizeMax - offset))
  }

  private func write(_ session: SessionID, offset: Int64, count: Int64) {
    guard count > 0, var file = files[session] else { return }
    guard let change = begin(&file, { $0.beginWrite(offset: offset, count: count, now: $1) }, undo: {
      _ = $0.endWrite($1, offset: offset, written: 0, now: $2)
    }) else {
      files[session] = file
      return
    }
    let written = bytesWritten(offset: offset, count: count, file)
    let oldSize = file.size
    if written > 0 {
      if offset + written > oldSize { file.resize(to: offset + written) }
      if offset > oldSize, oldSize % Int64(ChunkLayout.chunkBytes) != 0 {
        stamp(&file, Int(oldSize / Int64(ChunkLayout.chunkBytes)))
      }
      for index in ChunkLayout.indexes(offset: offset, count: written) { stamp(&file, index) }
    }
    let sealed = file.tracker.endWrite(change, offset: offset, written: written, now: now)
    note("  write \(session.number) \(offset)+\(written)", session.number, offset, written)
    post(sealed, of: &file)
    files[session] = file
  }

  /// A full disk takes the beginning of what is appended, or nothing; bytes in place have their room already.
  private func bytesWritten(offset: Int64, count: Int64, _ file: SimulatedFile) -> Int64 {
    guard now < diskFullUntil, offset + count > file.size else { return count }
    return Bool.random(using: &generator) ? 0 : Int64.random(in: 0...count, using: &generator)
  }

  func truncate(_ session: SessionID) {
    guard var file = files[session] else { return }
    let newSize = min(truncatedSize(file.size), sizeMax)
    // By its path: opened, cut and closed.
    if !file.isOpen {
      post(.opened(session))
      file.isMarkedDurably = false
      file.finishMoment = now + .seconds(1)
    }
    guard let change = begin(&file, { $0.beginTruncate(to: newSize, now: $1) }, undo: {
      $0.endTruncate($1, to: $0.size, now: $2)
    }) else {
      files[session] = file
      return
    }
    let boundary = Int(min(file.size, newSize) / Int64(ChunkLayout.chunkBytes))
    let isCut = newSize != file.size && min(file.size, newSize) % Int64(ChunkLayout.chunkBytes) != 0
    file.resize(to: newSize)
    if isCut { stamp(&file, boundary) }
    file.tracker.endTruncate(change, to: newSize, now: now)
    note("  truncate \(session.number) to \(newSize)", session.number, newSize)
    files[session] = file
  }

  /// Anywhere, up to a bit longer than it is; often at nothing (a take is recorded again) or between two chunks.
  private func truncatedSize(_ size: Int64) -> Int64 {
    let anywhere = Int64.random(in: 0...(size * 5 / 4 + 1), using: &generator)
    switch Int.random(in: 0..<6, using: &generator) {
    case 0: return 0
    case 1: return anywhere - anywhere % Int64(ChunkLayout.chunkBytes)
    default: return anywhere
    }
  }

  func close(_ session: SessionID) {
    files[session]?.isOpen = false
    files[session]?.finishMoment = now + .seconds(1)
  }

  func reopen(_ session: SessionID) {
    files[session]?.isOpen = true
    files[session]?.isMarkedDurably = false
    files[session]?.finishMoment = nil
    post(.opened(session))
  }

  func rename(_ session: SessionID) {
    stamps += 1
    files[session]?.path = Array("name\(stamps)".utf8)
    if let facts = files[session]?.facts { post(.renamed(session, facts)) }
  }

  func delete(_ session: SessionID) {
    forget(session)
    post(.removed(session))
  }

  func forget(_ session: SessionID) {
    files[session] = nil
    sessions.removeAll { $0 == session }
  }

  /// Chunks whose time has come are sealed, and recordings that have settled are finished.
  func sealDue() {
    for session in sessions {
      guard var file = files[session] else { continue }
      while let due = file.tracker.deadline, due <= now {
        let sealed = file.tracker.sealDue(now: now)
        guard !sealed.isEmpty else { break }
        post(sealed, of: &file)
      }
      if let moment = file.finishMoment, moment <= now {
        while case let sealed = file.tracker.sealAll(), !sealed.isEmpty { post(sealed, of: &file) }
        file.finishMoment = nil
        post(.finished(session, size: file.size))
      }
      files[session] = file
    }
  }

  var nextSeal: Instant? {
    sessions.compactMap { session -> Instant? in
      guard let file = files[session] else { return nil }
      return [file.tracker.deadline, file.finishMoment].compactMap { $0 }.min()
    }.min()
  }

  // MARK: Before bytes change

  /// As the spool does it: evicted bytes that change in part are fetched, and the journal hears first of changes to what
  /// it vouches for. - Returns: nil when the recorder gets an error instead.
  private func begin(
    _ file: inout SimulatedFile, _ begin: (inout ChunkTracker, Instant) -> ChunkTracker.Change,
    undo: (inout ChunkTracker, ChunkTracker.Change, Instant) -> Void
  ) -> ChunkTracker.Change? {
    var change = begin(&file.tracker, now)
    let missing = change.touching(file.holes)
    if !missing.isEmpty {
      giveUp(change, &file, undo)
      files[file.session] = file
      let areHere = missing.allSatisfy { hydrate(ChunkID(file.session, $0)) }
      file = files[file.session] ?? file
      guard areHere else { return nil }
      change = begin(&file.tracker, now)
    }
    checker.began(change, file)
    guard change.reopen.isEmpty && change.dropFrom == nil || !journal.isFailing else {
      giveUp(change, &file, undo)
      return nil
    }
    if !change.reopen.isEmpty { reopen(change.reopen, &file) }
    if let first = change.dropFrom { drop(from: first, &file) }
    return change
  }

  private func giveUp(
    _ change: ChunkTracker.Change, _ file: inout SimulatedFile,
    _ undo: (inout ChunkTracker, ChunkTracker.Change, Instant) -> Void
  ) {
    file.tracker.abandon(change.reopen)
    undo(&file.tracker, change, now)
  }

  private func reopen(_ indexes: [Int], _ file: inout SimulatedFile) {
    let session = file.session
    journal.commit(.reopen(session, indexes), at: now)
    // Once an opening: after a power cut, recordings that were being rewritten must be known as such.
    if !file.isMarkedDurably { journal.sync() }
    file.isMarkedDurably = true
    let rows = journal.rows.sessions[session]?.chunks ?? [:]
    var versions: [Int: ChunkVersion] = [:]
    for index in indexes { versions[index] = rows[index]?.version }
    file.tracker.didReopen(versions)
    for index in indexes {
      file.vouched.remove(index)
      post(.reopened(ChunkID(session, index)))
    }
  }

  private func drop(from first: Int, _ file: inout SimulatedFile) {
    let wereElsewhere = (first..<file.chunkCount).contains { file.holes.contains($0) }
    journal.commit(.drop(file.session, from: first), at: now)
    // Otherwise a power cut could bring back the row of an evicted chunk whose bytes the receiver has newer ones of.
    if wereElsewhere { journal.sync() }
    guard let base = journal.rows.sessions[file.session]?.baseVersion else { return }
    post(.truncated(file.session, chunkCount: first, base: base))
    file.tracker.didDrop(from: first, base: base)
    file.vouched.removeAll(from: first)
  }

  private func stamp(_ file: inout SimulatedFile, _ index: Int) {
    stamps += 1
    file.write(stamps, to: index)
  }

  private func post(_ sealed: [SealedChunk], of file: inout SimulatedFile) {
    for chunk in sealed {
      file.vouched.insert(chunk.index)
      post(.sealed(ChunkID(file.session, chunk.index), chunk.version, bytes: chunk.bytes))
    }
  }
}

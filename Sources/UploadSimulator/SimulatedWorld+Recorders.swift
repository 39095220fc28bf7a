import UploadCore
import UploadProtocol

/// Recorders: every change of bytes goes through the real `ChunkTracker`, as in the mount.
extension SimulatedWorld {
  static var filesMax: Int { 4 }
  static var sizeMax: Int64 { 8 * Int64(ChunkLayout.chunkBytes) }

  func create() {
    guard files.count < Self.filesMax else { return }
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
      case 2: chunk * Int64.random(in: 1...3, using: &generator)
      default: Int64.random(in: 1...(2 * chunk), using: &generator)
      }
    write(session, offset: size, count: min(count, Self.sizeMax - size))
  }

  func rewrite(_ session: SessionID) {
    guard let size = files[session]?.size else { return }
    // Headers mostly; sometimes past the end, which leaves a hole.
    let offset = generator.percent(50) ? 0 : Int64.random(in: 0..<size * 3 / 2 + 1, using: &generator)
    let count = Int64.random(in: 1...Int64(ChunkLayout.chunkBytes), using: &generator)
    write(session, offset: offset, count: min(count, Self.sizeMax - offset))
  }

  private func write(_ session: SessionID, offset: Int64, count: Int64) {
    guard count > 0, var file = files[session] else { return }
    let change = file.tracker.beginWrite(offset: offset, count: count, now: now)
    guard didReopen(change, &file) else {
      // The local disk is full: the recorder sees what a local disk would have said.
      _ = file.tracker.endWrite(change, offset: offset, written: 0, now: now)
      files[session] = file
      return
    }
    let oldSize = file.size
    if offset + count > oldSize { file.resize(to: offset + count) }
    if offset > oldSize, oldSize % Int64(ChunkLayout.chunkBytes) != 0 {
      stamp(&file, Int(oldSize / Int64(ChunkLayout.chunkBytes)))
    }
    for index in ChunkLayout.indexes(offset: offset, count: count) { stamp(&file, index) }
    file.isDirty = true
    let sealed = file.tracker.endWrite(change, offset: offset, written: count, now: now)
    note("  write \(session.number) \(offset)+\(count)", session.number, offset, count)
    post(sealed, of: session)
    files[session] = file
  }

  func truncate(_ session: SessionID) {
    guard var file = files[session], !journal.isFailing else { return }
    let size = Int64.random(in: 0...(file.size * 5 / 4 + 1), using: &generator)
    let newSize = min(size, Self.sizeMax)
    let change = file.tracker.beginTruncate(to: newSize, now: now)
    guard didReopen(change, &file) else { preconditionFailure("the journal works") }
    if let first = change.dropFrom, let base = journal.drop(session, from: first) {
      post(.truncated(session, chunkCount: first, base: base))
      file.tracker.didDrop(from: first, base: base)
    }
    let boundary = Int(min(file.size, newSize) / Int64(ChunkLayout.chunkBytes))
    let isCut = newSize != file.size && min(file.size, newSize) % Int64(ChunkLayout.chunkBytes) != 0
    file.resize(to: newSize)
    if isCut { stamp(&file, boundary) }
    file.isDirty = true
    file.tracker.endTruncate(change, to: newSize, now: now)
    note("  truncate \(session.number) to \(newSize)", session.number, newSize)
    if !file.isOpen { file.finishMoment = now + .seconds(1) }
    files[session] = file
  }

  func close(_ session: SessionID) {
    files[session]?.isOpen = false
    files[session]?.finishMoment = now + .seconds(1)
  }

  func reopen(_ session: SessionID) {
    files[session]?.isOpen = true
    files[session]?.finishMoment = nil
    post(.opened(session))
  }

  func rename(_ session: SessionID) {
    stamps += 1
    files[session]?.path = Array("name\(stamps)".utf8)
    if let facts = files[session]?.facts { post(.renamed(session, facts)) }
  }

  func delete(_ session: SessionID) {
    files[session] = nil
    sessions.removeAll { $0 == session }
    post(.removed(session))
  }

  /// Chunks whose time has come are sealed, and recordings that have settled are finished.
  func sealDue() {
    for session in sessions {
      guard var file = files[session] else { continue }
      while let due = file.tracker.deadline, due <= now {
        let sealed = file.tracker.sealDue(now: now)
        guard !sealed.isEmpty else { break }
        post(sealed, of: session)
      }
      if let moment = file.finishMoment, moment <= now {
        while case let sealed = file.tracker.sealAll(), !sealed.isEmpty { post(sealed, of: session) }
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

  private func didReopen(_ change: ChunkTracker.Change, _ file: inout SimulatedFile) -> Bool {
    guard !change.reopen.isEmpty else { return true }
    guard let versions = journal.reopen(file.session, change.reopen) else {
      file.tracker.abandon(change.reopen)
      return false
    }
    file.tracker.didReopen(versions)
    for index in change.reopen { post(.reopened(ChunkID(file.session, index))) }
    return true
  }

  private func stamp(_ file: inout SimulatedFile, _ index: Int) {
    stamps += 1
    file.contents[index] = stamps
  }

  private func post(_ sealed: [SealedChunk], of session: SessionID) {
    for chunk in sealed { post(.sealed(ChunkID(session, chunk.index), chunk.version, bytes: chunk.bytes)) }
  }
}

internal import CLinux
internal import Crypto
internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import UploadCore
internal import UploadProtocol

// Local bytes that the destination has: given up when room is needed, fetched back when they are read.
extension Recording {
  /// Fetched ahead of a reader that comes upon evicted chunks: four requests' worth, 4 MiB.
  private static let readAhead = 4

  /// Makes sure that the bytes `offset..<offset + count` are here, and keeps them here until `unpin`. Waits for the
  /// destination when they were evicted.
  public func pin(offset: Int64, count: Int64) throws(SpoolError) {
    while true {
      let missing = state.withLock { state -> [Int] in
        let missing = state.isWhole ? [] : ChunkLayout.indexes(offset: offset, count: count)
          .filter { state.evicted.contains($0) || state.unchecked.contains($0) }
        if missing.isEmpty { state.readers += 1 }
        return missing
      }
      if missing.isEmpty { return }
      try hydrate(missing)
      prefetch(after: missing.last ?? 0)
    }
  }

  public func unpin() { state.withLock { $0.readers -= 1 } }

  /// Every byte is here, and what lies here is what was written.
  var isWhole: Bool { state.withLock { $0.isWhole } }

  /// Chunks whose bytes are not here. One that is fetched back this moment may still be among them: its bytes are then here
  /// and at the destination, and only the room they take is not known to be free.
  func knownEvicted() throws(SpoolError) -> ChunkSet {
    try loadEvicted()
    return state.withLock { $0.evicted }
  }

  /// SEEK_DATA and SEEK_HOLE: a chunk that is not here is data, whatever the local disk says.
  public func seek(offset: Int64, whence: Int32) throws(SpoolError) -> Int64 {
    if isWhole { return try Backing.seek(descriptor, offset: offset, whence: whence) }
    let size = try Backing.status(descriptor).size
    guard offset < size else { throw .io(.noSuchAddressOrDevice, what: "lseek") }
    // As a file system without holes answers: all is data, and the only hole is at the end.
    return whence == SEEK_HOLE ? size : offset
  }

  func loadEvicted() throws(SpoolError) {
    guard state.withLock({ !$0.isEvictionKnown }) else { return }
    try hydrating.withLock { _ throws(SpoolError) in
      guard state.withLock({ !$0.isEvictionKnown }) else { return }
      let marked = Backing.attribute(Backing.evictedAttribute, of: descriptor).flatMap { ChunkSet(text: $0) } ?? ChunkSet()
      let (evicted, unchecked): (ChunkSet, ChunkSet)
      let mustCheck = spool.journal.uncheckedSessions.contains(session)
      do throws(JournalError) {
        evicted = try spool.journal.evictedIndexes(of: session, marked: marked)
        unchecked = mustCheck ? try spool.journal.storedChunks(of: session) : ChunkSet()
      } catch { throw SpoolError(error) }
      if mustCheck { try regainLength() }
      state.withLock { state in
        state.isEvictionKnown = true
        state.evicted = evicted
        state.unchecked = unchecked
        state.marked = marked
      }
    }
  }

  /// Gives up the local bytes of stored chunks, as far as nobody reads or writes them. On the evictor's thread.
  /// - Returns: how many chunks were given up.
  package func evict(_ indexes: [Int]) throws(SpoolError) -> Int {
    try loadEvicted()
    return try hydrating.withLock { _ throws(SpoolError) in
      let candidates = state.withLock { state -> [Int] in
        guard state.readers == 0, !state.isRemoved else { return [] }
        let free = indexes.filter { (state.tracker?.isHandedOff($0) ?? true) && !state.isGoneBackTo($0) }
        for index in free { state.evicted.insert(index) }
        return free
      }
      if candidates.isEmpty { return 0 }
      var gone: [Int] = []
      defer {
        let kept = Set(candidates).subtracting(gone)
        state.withLock { state in for index in kept { state.evicted.remove(index) } }
      }
      do throws(JournalError) { gone = try spool.journal.evict(session, candidates) } catch { throw SpoolError(error) }
      let chosen = gone
      gone = []
      // Those that are here still: a read must not ask the destination for them.
      defer { for index in Set(chosen).subtracting(gone) { try? spool.journal.hydrated(ChunkID(session, index)) } }
      gone = try giveUp(chosen)
      account()
      return gone.count
    }
  }

  /// Punches chunks out that the journal calls evicted. - Throws: when the bytes of none of them are gone.
  /// - Returns: those whose bytes may be gone.
  private func giveUp(_ chunks: [Int]) throws(SpoolError) -> [Int] {
    guard let first = chunks.first else { return [] }
    let size = try Backing.status(descriptor).size
    let marked = state.withLock { state in
      for index in chunks { state.marked.insert(index) }
      return state.marked
    }
    // The tree knows it too: a journal that is lost must not make holes look like silence.
    do throws(SpoolError) { try mark(marked) } catch {
      // On a full disk the first chunk's own blocks make room for the attribute; a longer attribute than the file system
      // takes must not cost a byte. Blocks that a file system keeps for itself are free, but not available.
      guard error == .noSpace, (try? spool.space())?.blocksAvailable == 0 else {
        forgetMarks(chunks)
        throw error
      }
      do throws(SpoolError) { try keepingTimes { () throws(SpoolError) in try punch(first, size: size) } } catch {
        forgetMarks(chunks)
        throw error
      }
      do throws(SpoolError) { try mark(marked) } catch {
        forgetMarks(chunks)
        state.withLock { $0.unchecked.remove(first) }
        return [first]
      }
    }
    state.withLock { state in for index in chunks { state.unchecked.remove(index) } }
    // What cannot be punched now only takes room: it is read back from the destination all the same.
    try? keepingTimes { () throws(SpoolError) in for index in chunks { try? punch(index, size: size) } }
    return chunks
  }

  private func forgetMarks(_ chunks: [Int]) {
    state.withLock { state in for index in chunks { state.marked.remove(index) } }
  }

  /// Chunks that are about to change are not only at the destination any more.
  func unmark(_ indexes: [Int]) throws(SpoolError) {
    let marked = state.withLock { state -> ChunkSet? in
      guard indexes.contains(where: { state.marked.contains($0) }) else { return nil }
      for index in indexes { state.marked.remove(index) }
      return state.marked
    }
    if let marked { try mark(marked) }
  }

  private func mark(_ marked: ChunkSet) throws(SpoolError) {
    do {
      try Backing.setAttribute(Backing.evictedAttribute, marked.text, of: descriptor)
    } catch .io(.notSupported, _) {
      // A file system without user attributes: then only the journal knows.
    }
  }

  /// A chunk's bytes are to be sent again, as they are on the disk.
  /// - Parameter count: bytes of it that may be new here.
  func resend(_ index: Int, count: Int = 1) throws(SpoolError) {
    let start = Int64(index) * Int64(ChunkLayout.chunkBytes)
    let change = try beginWrite(offset: start, count: Int64(count))
    // None of a chunk that was cut off meanwhile.
    let size = (try? Backing.status(descriptor).size) ?? 0
    endWrite(change, offset: start, written: max(0, min(Int64(count), size - start)))
  }

  /// Fetches back every evicted chunk that the journal knows nothing of, and has it sent again: the receiver already has
  /// these bytes, and the journal learns of them.
  func restoreForgotten() throws(SpoolError) {
    for index in try forgottenIndexes() {
      try hydrate([index])
      try resend(index)
    }
  }

  /// Evicted chunks that the journal has no row of.
  func forgottenIndexes() throws(SpoolError) -> [Int] {
    var forgotten: [Int] = []
    for index in try knownEvicted().indexes {
      do throws(JournalError) {
        if try spool.journal.evictedChunk(ChunkID(session, index)) == nil { forgotten.append(index) }
      } catch { throw SpoolError(error) }
    }
    return forgotten
  }

  private func punch(_ index: Int, size: Int64) throws(SpoolError) {
    let start = Int64(index) * Int64(ChunkLayout.chunkBytes)
    let count = ChunkLayout.byteCount(of: index, size: size)
    guard count > 0 else { return }
    try Backing.allocate(
      descriptor, mode: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset: start, count: Int64(count))
  }

  /// Fetches evicted chunks back, verified against the journal's digests, and those that a power cut took.
  func hydrate(_ indexes: [Int]) throws(SpoolError) {
    for index in indexes {
      try hydrating.withLock { _ throws(SpoolError) in
        guard state.withLock({ $0.evicted.contains(index) }) else {
          if state.withLock({ $0.unchecked.contains(index) }) { try regain(index) }
          return
        }
        let chunk = ChunkID(session, index)
        let bytes: [UInt8]
        do throws(SpoolError) { bytes = try verifiedBytes(of: chunk) } catch {
          // Cut off meanwhile: nobody needs it any more.
          guard state.withLock({ $0.evicted.contains(index) }) else { return }
          throw error
        }
        guard try place(bytes, index, unless: { !$0.evicted.contains(index) }) else { return }
        // Or a power cut would leave a hole of which the journal says that it is stored and here.
        try synchronizeBacking(dataOnly: true)
        do throws(JournalError) { try spool.journal.hydrated(chunk) } catch { throw SpoolError(error) }
        state.withLock { state in
          state.evicted.remove(index)
          state.unchecked.remove(index)
        }
        account()
      }
    }
  }

  /// Writes fetched bytes, unless the chunk was cut off while they were on their way: they would make the recording longer
  /// again. - Returns: whether they were written.
  func place(_ bytes: [UInt8], _ index: Int, unless isGone: (State) -> Bool) throws(SpoolError) -> Bool {
    try placing.withLock { _ throws(SpoolError) in
      guard state.withLock({ !isGone($0) }) else { return false }
      try keepingTimes { () throws(SpoolError) in
        try Backing.write(bytes, to: descriptor, at: Int64(index) * Int64(ChunkLayout.chunkBytes))
      }
      return true
    }
  }

  private func verifiedBytes(of chunk: ChunkID) throws(SpoolError) -> [UInt8] {
    let bytes: [UInt8]
    let expected: (bytes: Int, digest: ChunkDigest)?
    do {
      expected = try spool.journal.evictedChunk(chunk)
      bytes = try spool.fetch(chunk)
    } catch {
      throw .io(.ioError, what: "fetching chunk \(chunk.index) back: \(error)")
    }
    // A journal that was lost knows no digest; the receiver has checked the bytes against its own.
    let isRight =
      if let expected {
        bytes.count == expected.bytes && ChunkDigest(bytes: SHA256.hash(data: bytes)) == expected.digest
      } else {
        bytes.count == ChunkLayout.byteCount(of: chunk.index, size: try Backing.status(descriptor).size)
      }
    guard isRight else { throw .io(.ioError, what: "fetching chunk \(chunk.index) back: the destination has other bytes") }
    return bytes
  }

  /// A reader that needed one evicted chunk will want the next ones.
  private func prefetch(after index: Int) {
    let next = state.withLock { state in
      (index + 1..<index + 1 + Self.readAhead).filter { state.evicted.contains($0) || state.unchecked.contains($0) }
    }
    if !next.isEmpty { spool.prefetch(self, next) }
  }
}

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
        let missing = state.evicted.count == 0 ? [] : ChunkLayout.indexes(offset: offset, count: count)
          .filter { state.evicted.contains($0) }
        if missing.isEmpty { state.readers += 1 }
        return missing
      }
      if missing.isEmpty { return }
      try hydrate(missing)
      prefetch(after: missing.last ?? 0)
    }
  }

  public func unpin() { state.withLock { $0.readers -= 1 } }

  /// Chunks whose bytes are not here.
  public var evictedCount: Int { state.withLock { $0.evicted.count } }

  /// Whether a byte that only looks like a hole lies at `offset`.
  public func isEvicted(at offset: Int64) -> Bool {
    state.withLock { $0.evicted.contains(Int(offset / Int64(ChunkLayout.chunkBytes))) }
  }

  /// SEEK_DATA and SEEK_HOLE: an evicted chunk is data, whatever the local disk says.
  public func seek(offset: Int64, whence: Int32) throws(SpoolError) -> Int64 {
    if evictedCount == 0 { return try Backing.seek(descriptor, offset: offset, whence: whence) }
    let size = try Backing.status(descriptor).size
    guard offset < size else { throw .io(.noSuchAddressOrDevice, what: "lseek") }
    // As a file system without holes answers: all is data, and the only hole is at the end.
    return whence == SEEK_HOLE ? size : offset
  }

  func loadEvicted() throws(SpoolError) {
    guard state.withLock({ !$0.isEvictionKnown }) else { return }
    let marked = Backing.attribute(Backing.evictedAttribute, of: descriptor).flatMap { ChunkSet(text: $0) } ?? ChunkSet()
    let evicted: ChunkSet
    do { evicted = try spool.journal.evictedIndexes(of: session, marked: marked) } catch { throw .journal(error.message) }
    state.withLock { state in
      guard !state.isEvictionKnown else { return }
      state.isEvictionKnown = true
      state.evicted = evicted
      state.marked = marked
    }
  }

  /// Gives up the local bytes of stored chunks, as far as nobody reads or writes them. On the evictor's thread.
  /// - Returns: how many chunks were given up.
  func evict(_ indexes: [Int]) throws(SpoolError) -> Int {
    try loadEvicted()
    return try hydrating.withLock { _ throws(SpoolError) in
      let candidates = state.withLock { state -> [Int] in
        guard state.readers == 0, !state.isRemoved else { return [] }
        let free = indexes.filter { state.tracker?.isHandedOff($0) ?? true }
        for index in free { state.evicted.insert(index) }
        return free
      }
      if candidates.isEmpty { return 0 }
      var gone: [Int] = []
      defer {
        let kept = Set(candidates).subtracting(gone)
        state.withLock { state in for index in kept { state.evicted.remove(index) } }
      }
      do throws(JournalError) { gone = try spool.journal.evict(session, candidates) } catch { throw .journal(error.message) }
      // The tree knows it too: a journal that is lost must not make holes look like silence.
      let marked = state.withLock { state in
        for index in gone { state.marked.insert(index) }
        return state.marked
      }
      try mark(marked)
      let size = try Backing.status(descriptor).size
      for index in gone { try punch(index, size: size) }
      account()
      return gone.count
    }
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
  func resend(_ index: Int) throws(SpoolError) {
    let start = Int64(index) * Int64(ChunkLayout.chunkBytes)
    let change = try beginWrite(offset: start, count: 1)
    endWrite(change, offset: start, written: 1)
  }

  /// Fetches back every evicted chunk that the journal knows nothing of, and has it sent again: the receiver already has
  /// these bytes, and the journal learns of them.
  func restoreForgotten() throws(SpoolError) {
    try loadEvicted()
    for index in state.withLock({ $0.evicted.indexes }) {
      do throws(JournalError) {
        if try spool.journal.evictedChunk(ChunkID(session, index)) != nil { continue }
      } catch { throw .journal(error.message) }
      try hydrate([index])
      try resend(index)
    }
  }

  private func punch(_ index: Int, size: Int64) throws(SpoolError) {
    let start = Int64(index) * Int64(ChunkLayout.chunkBytes)
    let count = ChunkLayout.byteCount(of: index, size: size)
    guard count > 0 else { return }
    try Backing.allocate(
      descriptor, mode: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset: start, count: Int64(count))
  }

  /// Fetches evicted chunks back, verified against the journal's digests.
  func hydrate(_ indexes: [Int]) throws(SpoolError) {
    for index in indexes {
      try hydrating.withLock { _ throws(SpoolError) in
        guard state.withLock({ $0.evicted.contains(index) }) else { return }
        let chunk = ChunkID(session, index)
        let bytes = try verifiedBytes(of: chunk)
        try Backing.write(bytes, to: descriptor, at: Int64(index) * Int64(ChunkLayout.chunkBytes))
        do throws(JournalError) { try spool.journal.hydrated(chunk) } catch { throw .journal(error.message) }
        state.withLock { $0.evicted.remove(index) }
        account()
      }
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
      (index + 1..<index + 1 + Self.readAhead).filter { state.evicted.contains($0) }
    }
    if !next.isEmpty { spool.prefetch(self, next) }
  }
}

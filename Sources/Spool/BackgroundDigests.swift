internal import Crypto
internal import Synchronization
internal import UploadCore
public import UploadProtocol

/// Reads recordings again when nobody waits for it: the SHA-256 of those that are synced, and, after a power cut, whether
/// what the journal vouches for is really on the disk. One recording at a time, at background priority.
public final class BackgroundDigests: Sendable {
  private let spool: Spool
  private let thread = BackgroundThread()
  private let mustStop = Atomic(false)

  /// Rest for a digest's unit of work while somebody records: what nobody waits for then takes a quarter of a processor, and still
  /// reads hundreds of MB/s. The lowest priority alone leaves the recorder less: they share caches and memory.
  private static let restOfWork = 3.0

  public init(spool: Spool) { self.spool = spool }

  public func stop() {
    mustStop.store(true, ordering: .relaxed)
    thread.stop()
  }

  /// The whole recording's SHA-256, for `user.sync.sha256`. Nothing when it changes meanwhile or is not all here.
  public func add(synced session: SessionID) {
    thread.add { [self] in
      guard let row = (try? spool.journal.session(session)) ?? nil, row.isSynced, row.sha256 == nil,
        let digest = wholeDigest(row)
      else { return }
      // A journal that cannot take it now gets it at the next start.
      try? spool.journal.setSHA256(digest, of: session, revision: row.revision)
    }
  }

  /// After a power cut: what the journal calls stored is compared with what lies on the disk; bytes that the disk has lost
  /// are fetched back, as soon as the destination gives them.
  public func add(unchecked session: SessionID) {
    thread.add { [self] in
      while !mustStop.load(ordering: .relaxed) {
        do {
          if let row = try spool.journal.session(session) { try check(row) }
          if !mustStop.load(ordering: .relaxed) { try spool.journal.setChecked(session) }
          return
        } catch SpoolError.missing {
          // Deleted meanwhile.
          try? spool.journal.setChecked(session)
          return
        } catch {
          // The destination is away, or the disk is full: the seed's interval between two looks.
          thread.rest(seconds: 5)
        }
      }
    }
  }

  private func check(_ row: SessionRow) throws(SpoolError) {
    let recording = try spool.tree.reading { () throws(SpoolError) in try spool.open(row.inode, forWriting: false) }
    defer { recording.closed(forWriting: false) }
    guard recording.session == row.session else { throw .missing }
    try recording.regainAll { mustStop.load(ordering: .relaxed) }
  }

  /// A new journal knows nothing of this recording's evicted chunks. It learns of those that the destination lists when
  /// the session is announced; others are fetched back, as soon as the destination gives them, and sent again.
  public func add(forgotten inode: UInt64) {
    thread.add { [self] in
      while !mustStop.load(ordering: .relaxed) {
        // By its inode: the journal may not have heard of the session yet.
        guard let recording = try? spool.tree.reading({ () throws(SpoolError) in try spool.recording(inode) }) else { return }
        let row = (try? spool.journal.session(recording.session)) ?? nil
        if row?.isAnnounced == true, (try? restore(recording)) != nil { return }
        // The destination is away: the seed's interval between two looks.
        thread.rest(seconds: 5)
      }
    }
  }

  private func restore(_ recording: Recording) throws(SpoolError) {
    guard try !recording.forgottenIndexes().isEmpty else { return }
    let opened = try spool.tree.reading { () throws(SpoolError) in try spool.open(recording.inode, forWriting: true) }
    defer { opened.closed(forWriting: true) }
    try opened.restoreForgotten()
  }

  private func wholeDigest(_ row: SessionRow) -> [UInt8]? {
    guard
      let recording = try? spool.tree.reading({ () throws(SpoolError) in
        try spool.open(row.inode, forWriting: false)
      })
    else { return nil }
    defer { recording.closed(forWriting: false) }
    var hash = SHA256()
    var offset: Int64 = 0
    while offset < row.size {
      let begun = spool.clock.now
      guard !mustStop.load(ordering: .relaxed), recording.isWhole,
        let bytes = try? Backing.read(recording.descriptor, at: offset, count: ChunkLayout.chunkBytes), !bytes.isEmpty
      else { return nil }
      hash.update(data: bytes)
      offset += Int64(bytes.count)
      if spool.isRecording {
        thread.rest(seconds: Self.restOfWork * Double((spool.clock.now - begun).nanoseconds) / 1e9)
      }
    }
    // An eviction in between would have made holes of it.
    return offset == row.size && recording.isWhole ? Array(hash.finalize()) : nil
  }
}


import Glibc
import Spool
import SystemPackage
import Testing
import UploadCore
import UploadProtocol

@Suite("Recovery")
struct RecoveryTests {
  /// A recording that was written, closed and recorded.
  @discardableResult
  private func finished(_ name: String, _ harness: SpoolHarness, count: Int = 10) throws -> SessionID {
    let recording = try harness.create(name)
    try harness.write(recording, 0, [UInt8](repeating: 5, count: count))
    recording.closed(forWriting: true)
    harness.clock.pass(.seconds(1))
    try harness.record()
    return recording.session
  }

  @Test("what was finished and not sent is restored, and needs no look at its bytes")
  func restored() throws {
    try withHarness { harness in
      let session = try finished("take", harness, count: 2 * mebibyte + 1)

      let (report, events) = try harness.reopen()
      #expect(report.recordings == 1 && report.unfinished == 0 && report.unknown == 0)
      guard case .restored(session, let restored)? = events.first else {
        Issue.record("\(events)")
        return
      }
      #expect(restored.pending == [0..<3] && restored.isFinished)
      #expect(events.count == 1)
    }
  }

  @Test("the inbox says at once that there is something restored")
  func deadline() throws {
    try withHarness { harness in
      let inbox = SpoolInbox(
        spool: harness.spool, controls: Mailbox(),
        restored: [.restored(SessionID(number: 1), RestoredSession(facts: JournalTests.facts, pending: [0..<1], isAnnounced: true, isFinished: true, isSynced: false, failure: nil, priority: .normal, isHeld: false))])

      #expect(inbox.deadline == harness.clock.now)
    }
  }

  @Test("bytes that the journal never heard of are sealed after a death")
  func unrecorded() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.record()
      try harness.write(take, 0, [UInt8](repeating: 1, count: mebibyte + 7))

      let (report, events) = try harness.reopen()
      let sealed = events.compactMap { if case .sealed(let chunk, _, _) = $0 { chunk.index } else { nil } }
      #expect(report.unfinished == 1)
      #expect(sealed.sorted() == [0, 1])
    }
  }

  @Test("a tail that grew by whole chunks before a power cut took the journal's word of it is sealed anew, in whole")
  func shortChunkInTheMiddle() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: 10))
      harness.clock.pass(.seconds(10))
      try harness.record()
      // The bytes came to the disk, and what the journal was told of them did not.
      let grown = [UInt8](repeating: 2, count: 2 * mebibyte)
      _ = try take.descriptor.writeAll(toAbsoluteOffset: 10, grown)

      let (_, events) = try harness.reopen()
      harness.clock.pass(.seconds(10))
      let sealed = (events + harness.drain()).compactMap { event -> [Int]? in
        if case .sealed(let chunk, let version, let bytes) = event { [chunk.index, Int(version.number), bytes] } else { nil }
      }
      #expect(sealed == [[0, 2, mebibyte], [1, 1, mebibyte], [2, 1, 10]])
    }
  }

  @Test("a chunk that was open at the death is sealed as the version that the journal promised")
  func openChunk() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: mebibyte))
      try harness.record()
      _ = try take.beginWrite(offset: 0, count: 1)

      let (_, events) = try harness.reopen()
      #expect(events.contains(.sealed(ChunkID(take.session, 0), ChunkVersion(2), bytes: mebibyte)))
    }
  }

  @Test("renames and deletions made meanwhile are found")
  func changedNames() throws {
    try withHarness { harness in
      let (renamed, deleted) = (try finished("a", harness), try finished("b", harness))
      #expect(rename(harness.path("a"), harness.path("c")) == 0)
      #expect(unlink(harness.path("b")) == 0)

      let (report, events) = try harness.reopen()
      #expect(report.renamed == 1 && report.deleted == 1)
      #expect(events.contains(.renamed(renamed, SessionFacts(path: Array("c".utf8), inode: try harness.inode("c")))))
      #expect(events.contains(.removed(deleted)))
    }
  }

  @Test("a synced recording is introduced again before its new name, or its end, is told")
  func changedSynced() throws {
    try withHarness { harness in
      let sessions = [try finished("a", harness), try finished("b", harness)]
      for session in sessions {
        try harness.spool.journal.record([.stored(ChunkID(session, 0), .first, digest(0))])
        let row = try #require(try harness.spool.journal.session(session))
        try harness.spool.journal.record([
          .announced(session, SessionFacts(path: row.path, inode: row.inode)),
          .synced(session, revision: row.revision),
        ])
      }
      #expect(rename(harness.path("a"), harness.path("c")) == 0)
      #expect(unlink(harness.path("b")) == 0)

      let (_, events) = try harness.reopen()
      for session in sessions {
        let first = events.first {
          switch $0 {
          case .introduced(session, _), .renamed(session, _), .removed(session): true
          default: false
          }
        }
        guard case .introduced(_, let restored)? = first, restored.isSynced else {
          Issue.record("\(session): \(events)")
          continue
        }
      }
    }
  }

  @Test("a file put into the spool becomes a recording")
  func foundFile() throws {
    try withHarness { harness in
      let file = try FileDescriptor.open(
        FilePath(harness.path("new")), .writeOnly, options: .create, permissions: .ownerReadWrite)
      _ = try file.writeAll([1, 2, 3])
      try file.close()

      let (report, events) = try harness.reopen()
      #expect(report.unknown == 1)
      #expect(events.contains { if case .registered(_, let facts) = $0 { facts.path == Array("new".utf8) } else { false } })
      #expect(events.contains { if case .sealed(_, .first, bytes: 3) = $0 { true } else { false } })
    }
  }

  @Test("a journal that is lost is filled again from the spool, with the same sessions")
  func lostJournal() throws {
    try withHarness { harness in
      let session = try finished("take", harness)

      let (report, events) = try harness.reopen(losingJournal: true)
      #expect(report.unknown == 1)
      #expect(events.contains(.registered(session, SessionFacts(path: Array("take".utf8), inode: try harness.inode("take")))))
    }
  }

  @Test("two hard links are one recording, and keep its session")
  func hardLinks() throws {
    try withHarness { harness in
      let session = try finished("take", harness)
      #expect(link(harness.path("take"), harness.path("link")) == 0)

      let (report, _) = try harness.reopen()
      #expect(report.recordings == 1 && report.unknown == 0)
      #expect(harness.spool.session(of: try harness.inode("take")) == session)
    }
  }

  @Test("two hard links take their space once, also after a restart")
  func hardLinksUsage() throws {
    try withHarness { harness in
      try finished("take", harness, count: 100_000)
      #expect(link(harness.path("take"), harness.path("link")) == 0)

      _ = try harness.reopen()
      let blocks = try Backing.status(Array("take".utf8), in: harness.spool.tree.root).blocks
      #expect(blocks > 0)
      #expect(harness.spool.usage.bytes == blocks * 512)
    }
  }

  @Test("of two threads that meet a file without a session at once, the first one's stays on the file")
  func metAtOnce() throws {
    try withHarness { harness in
      let (spool, name) = (harness.spool, Array("take".utf8))
      let recording = try harness.create("take")
      // It looked for the session just before there was one: recovery's thread, say.
      let file = try Backing.open(name, in: spool.tree.root, flags: O_RDWR)
      let met = try spool.adopt(file, inode: recording.inode, path: name, isNew: false)

      #expect(met === recording)
      #expect(spool.session(at: name) == recording.session)
    }
  }

  @Test("files that were deleted while open are cleared away")
  func orphans() throws {
    try withHarness { harness in
      try finished("take", harness)
      #expect(rename(harness.path("take"), harness.folder + "/orphans/123") == 0)

      _ = try harness.reopen()
      #expect(access(harness.folder + "/orphans/123", F_OK) != 0)
    }
  }
}

import Foundation
import Glibc
import Spool
import Testing
import UploadCore
import UploadProtocol

@Suite("Journal")
struct JournalTests {
  static let session = SessionID(number: 7)
  static let facts = SessionFacts(path: Array("a/take".utf8), inode: 3)
  static func chunk(_ index: Int) -> ChunkID { ChunkID(session, index) }

  private func withJournal(_ body: (Journal) throws -> Void) throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    try harness.spool.journal.record([.registered(Self.session, Self.facts)])
    try body(harness.spool.journal)
  }

  /// Three chunks, of which the first two are stored.
  private func storeTwo(_ journal: Journal) throws {
    try journal.record([
      .sealed(Self.chunk(0), .first, bytes: mebibyte), .sealed(Self.chunk(1), .first, bytes: mebibyte),
      .sealed(Self.chunk(2), .first, bytes: 5),
    ])
    try journal.record([
      .stored(Self.chunk(1), .first, digest(1)), .stored(Self.chunk(0), .first, digest(0)),
    ])
  }

  @Test("stored chunks are summed, and the watermark passes those that were stored before it")
  func sums() throws {
    try withJournal { journal in
      try storeTwo(journal)

      let row = try #require(try journal.session(Self.session))
      #expect(row.storedChunks == 2)
      #expect(row.storedBytes == Int64(2 * mebibyte))
      #expect(row.storedThrough == 2)
    }
  }

  @Test("room is promised for what an eviction would free: of an open recording neither the first nor the last stored chunk")
  func evictableBytes() throws {
    try withJournal { journal in
      try storeTwo(journal)
      #expect(try journal.evictableBytes() == 0)

      try journal.record([.stored(Self.chunk(2), .first, digest(2))])
      #expect(try journal.evictableBytes() == Int64(mebibyte))

      try journal.record([.finished(Self.session, size: Int64(2 * mebibyte + 5))])
      #expect(try journal.evictableBytes() == Int64(2 * mebibyte + 5))
    }
  }

  @Test("a synced recording of one chunk has that chunk's digest; a longer one waits for its own")
  func digestOfOneChunk() throws {
    try withJournal { journal in
      try journal.record([.sealed(Self.chunk(0), .first, bytes: 5), .stored(Self.chunk(0), .first, digest(4))])
      let revision = try #require(try journal.session(Self.session)).revision
      try journal.record([.finished(Self.session, size: 5), .synced(Self.session, revision: revision + 1)])
      #expect(try journal.session(Self.session)?.sha256 == nil)

      try journal.record([.synced(Self.session, revision: revision)])
      #expect(try journal.session(Self.session)?.sha256 == digest(4).bytes)
    }
    try withJournal { journal in
      try storeTwo(journal)
      try journal.record([.stored(Self.chunk(2), .first, digest(2)), .finished(Self.session, size: Int64(2 * mebibyte + 5))])
      let revision = try #require(try journal.session(Self.session)).revision
      try journal.record([.synced(Self.session, revision: revision)])
      #expect(try journal.session(Self.session)?.isSynced == true)
      #expect(try journal.session(Self.session)?.sha256 == nil)
    }
  }

  @Test("a log that has grown large is written into the database, and is small again")
  func largeLog() throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    let journal = harness.spool.journal
    func logBytes() throws -> Int {
      try FileManager.default.attributesOfItem(atPath: harness.folder + "/journal.sqlite-wal")[.size] as? Int ?? 0
    }
    var number: Int64 = 0
    while try logBytes() <= 17 << 20 {
      number += 1
      let path = Array("take \(number)".utf8)
      try journal.record([.registered(SessionID(number: number), SessionFacts(path: path, inode: UInt64(number)))])
    }
    journal.checkpointIfLarge()
    try journal.record([.registered(SessionID(number: 1), Self.facts)])
    #expect(try logBytes() <= 16 << 20)
  }

  @Test("every fact may be recorded twice")
  func idempotence() throws {
    try withJournal { journal in
      let facts: [JournalFact] = [
        .registered(Self.session, Self.facts), .opened(Self.session), .sealed(Self.chunk(0), .first, bytes: 9),
        .stored(Self.chunk(0), .first, digest(0)), .announced(Self.session, Self.facts),
        .finished(Self.session, size: 9),
      ]
      try journal.record(facts)
      let first = try #require(try journal.session(Self.session))
      try journal.record(facts)
      let second = try #require(try journal.session(Self.session))

      #expect(first.storedChunks == second.storedChunks && first.storedBytes == second.storedBytes)
      #expect(first.revision == second.revision)
      #expect(second.isFinished)
    }
  }

  @Test("a receipt for another version than the sealed one counts for nothing")
  func oldReceipt() throws {
    try withJournal { journal in
      try journal.record([.sealed(Self.chunk(0), ChunkVersion(2), bytes: 9)])
      try journal.record([.stored(Self.chunk(0), .first, digest(0))])

      #expect(try journal.session(Self.session)?.storedChunks == 0)
    }
  }

  @Test("a receipt for a chunk that is open again counts for nothing")
  func receiptWhileOpen() throws {
    try withJournal { journal in
      try journal.record([.sealed(Self.chunk(0), .first, bytes: 9)])
      let versions = try journal.reopen(Self.session, [0])
      try journal.record([.stored(Self.chunk(0), .first, digest(0)), .stored(Self.chunk(0), ChunkVersion(2), digest(0))])

      #expect(versions == [0: ChunkVersion(2)])
      #expect(try journal.session(Self.session)?.storedChunks == 0)
    }
  }

  @Test("a sealing that arrives late does not undo a reopening")
  func lateSealing() throws {
    try withJournal { journal in
      let versions = try journal.reopen(Self.session, [0])
      try journal.record([.sealed(Self.chunk(0), .first, bytes: mebibyte)])

      let chunks = try journal.chunks(of: Self.session, count: 1)
      #expect(chunks.reopened == versions)
      #expect(!chunks.handedOff.contains(0))
    }
  }

  @Test("reopening takes a stored chunk out of the sums, and ends what was synced")
  func reopening() throws {
    try withJournal { journal in
      try storeTwo(journal)
      let before = try #require(try journal.session(Self.session))

      #expect(try journal.reopen(Self.session, [0]) == [0: ChunkVersion(2)])

      let row = try #require(try journal.session(Self.session))
      #expect(row.storedChunks == 1 && row.storedThrough == 0)
      #expect(row.revision > before.revision)
      #expect(!row.isSynced && !row.isFinished)
    }
  }

  @Test("the watermark goes over a chunk that was stored again")
  func watermarkAgain() throws {
    try withJournal { journal in
      try storeTwo(journal)
      _ = try journal.reopen(Self.session, [0])
      try journal.record([.sealed(Self.chunk(0), ChunkVersion(2), bytes: mebibyte)])
      try journal.record([.stored(Self.chunk(0), ChunkVersion(2), digest(9))])

      #expect(try journal.session(Self.session)?.storedThrough == 2)
      #expect(try journal.session(Self.session)?.storedChunks == 2)
    }
  }

  @Test("dropping forgets the chunks beyond, and new ones have versions above all earlier ones")
  func dropping() throws {
    try withJournal { journal in
      try storeTwo(journal)

      let base = try journal.drop(Self.session, from: 1)

      #expect(base > .first)
      let row = try #require(try journal.session(Self.session))
      #expect(row.storedChunks == 1 && row.storedBytes == Int64(mebibyte) && row.storedThrough == 1)
      #expect(try journal.chunks(of: Self.session, count: 3).baseVersion == base)
      #expect(try journal.drop(Self.session, from: 0) > base)
    }
  }

  @Test("dropping spares chunks that were sealed after it")
  func lateDrop() throws {
    try withJournal { journal in
      try storeTwo(journal)
      let base = try journal.drop(Self.session, from: 0)
      try journal.record([
        .sealed(Self.chunk(0), base, bytes: 9), .dropped(Self.session, from: 0, base: base),
      ])

      #expect(try journal.chunks(of: Self.session, count: 1).handedOff.contains(0))
    }
  }

  @Test("superseded makes a sealed chunk the version after the destination's")
  func superseded() throws {
    try withJournal { journal in
      try journal.record([.sealed(Self.chunk(0), .first, bytes: 9)])
      try journal.record([.superseded(Self.chunk(0), current: ChunkVersion(4))])
      try journal.record([.stored(Self.chunk(0), ChunkVersion(4), digest(0))])
      #expect(try journal.session(Self.session)?.storedChunks == 0)

      try journal.record([.stored(Self.chunk(0), ChunkVersion(5), digest(0))])
      #expect(try journal.session(Self.session)?.storedChunks == 1)
    }
  }

  @Test("unstored puts a chunk back into the queue")
  func unstored() throws {
    try withJournal { journal in
      try storeTwo(journal)
      try journal.record([.unstored(Self.chunk(0))])

      #expect(try journal.session(Self.session)?.storedChunks == 1)
      #expect(try journal.restored().first?.1.pending == [0..<1, 2..<3])
    }
  }

  @Test("synced counts only for the revision that it is about")
  func synced() throws {
    try withJournal { journal in
      try storeTwo(journal)
      let revision = try #require(try journal.session(Self.session)).revision
      try journal.record([.sealed(Self.chunk(3), .first, bytes: 1), .synced(Self.session, revision: revision)])
      #expect(try journal.session(Self.session)?.isSynced == false)

      try journal.record([.synced(Self.session, revision: revision + 1)])
      #expect(try journal.session(Self.session)?.isSynced == true)
    }
  }

  @Test("an announcement under an old name does not count")
  func announcement() throws {
    try withJournal { journal in
      let renamed = SessionFacts(path: Array("b/take".utf8), inode: 3)
      try journal.record([.renamed(Self.session, renamed), .announced(Self.session, Self.facts)])
      #expect(try journal.session(Self.session)?.isAnnounced == false)

      try journal.record([.announced(Self.session, renamed)])
      #expect(try journal.session(Self.session)?.isAnnounced == true)
    }
  }

  @Test("removed forgets the session and its chunks")
  func removed() throws {
    try withJournal { journal in
      try storeTwo(journal)
      try journal.record([.removed(Self.session)])

      #expect(try journal.session(Self.session) == nil)
      #expect(try journal.restored().isEmpty)
    }
  }

  @Test("failure, hold, priority and pause are remembered")
  func remembered() throws {
    try withJournal { journal in
      try journal.record([
        .failed(Self.session, "too large"), .held(Self.session, true), .prioritized(Self.session, .high),
        .pausedByUser(true),
      ])
      let row = try #require(try journal.session(Self.session))
      #expect(row.failure == "too large" && row.isHeld && row.priority == .high)
      #expect(journal.isPausedByUser)

      try journal.record([.failureCleared(Self.session), .held(Self.session, false), .pausedByUser(false)])
      #expect(try journal.session(Self.session)?.failure == nil)
      #expect(try journal.session(Self.session)?.isHeld == false)
      #expect(!journal.isPausedByUser)
    }
  }

  @Test("sessions below a folder are those below it, and none whose name only begins alike")
  func below() throws {
    try withJournal { journal in
      for (number, path) in ["a", "a/b", "a/b/c", "a-b", "ab", "a0", "b/a"].enumerated() {
        try journal.record([
          .registered(SessionID(number: Int64(100 + number)), SessionFacts(path: Array(path.utf8), inode: UInt64(number)))
        ])
      }
      var found: [String] = []
      try journal.eachSession(below: Array("a".utf8)) { found.append(String(decoding: $0.path, as: UTF8.self)) }

      #expect(found == ["a", "a/b", "a/b/c", "a/take"])
    }
  }

  @Test("2,500 sessions are met once each, in the order of their paths")
  func paging() throws {
    try withJournal { journal in
      try journal.record(
        (0..<2_500).map { .registered(SessionID(number: Int64(1_000 + $0)), SessionFacts(path: Array("p\($0 % 7)".utf8), inode: 1)) })
      var (met, paths): ([SessionID], [[UInt8]]) = ([], [])
      try journal.eachSession(below: []) {
        met.append($0.session)
        paths.append($0.path)
      }

      #expect(met.count == 2_501 && Set(met).count == 2_501)
      #expect(paths.map { String(decoding: $0, as: UTF8.self) } == paths.map { String(decoding: $0, as: UTF8.self) }.sorted())
    }
  }

  @Test("a journal that is damaged is set aside, and a new one begun")
  func damaged() throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    let path = harness.folder + "/other.sqlite"
    try Data(repeating: 7, count: 5_000).write(to: URL(filePath: path))

    let (journal, notice) = try Journal.openOrBegin(path: path)
    defer { journal.close() }

    #expect(notice?.contains("set-aside") == true)
    #expect(try journal.restored().isEmpty)
  }
}

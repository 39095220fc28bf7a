import Foundation
import Spool
import Testing
import UploadCore
import UploadProtocol

/// What further destinations have (`reelfs mount --also`).
@Suite("Journal of a further destination")
struct JournalCopyTests {
  static let session = JournalTests.session
  static let facts = JournalTests.facts
  static func chunk(_ index: Int) -> ChunkID { ChunkID(session, index) }
  static let size = Int64(2 * mebibyte + 5)

  /// A finished recording of three chunks, nothing of it stored anywhere.
  private func withCopies(
    _ rules: [EvictionRule] = [.stored], _ body: (Journal, [JournalCopy]) throws -> Void
  ) throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    let journal = harness.spool.journal
    let copies = try journal.useCopies(rules.enumerated().map { ("copy \($0)", $1) })
    try journal.record([
      .registered(Self.session, Self.facts), .sealed(Self.chunk(0), .first, bytes: mebibyte),
      .sealed(Self.chunk(1), .first, bytes: mebibyte), .sealed(Self.chunk(2), .first, bytes: 5),
      .finished(Self.session, size: Self.size),
    ])
    try body(journal, copies)
  }

  private func stored(_ indexes: Int...) -> [JournalFact] {
    indexes.map { .stored(Self.chunk($0), .first, digest(UInt8($0))) }
  }

  private func row(_ copy: JournalCopy) throws -> SessionRow { try #require(try copy.session(Self.session)) }

  @Test("each destination's receipts are its own, and so are its sums")
  func ownReceipts() throws {
    try withCopies { journal, copies in
      try copies[0].record(stored(1, 0))

      let (first, other) = (try #require(try journal.session(Self.session)), try row(copies[0]))
      #expect((first.storedChunks, first.storedBytes, first.storedThrough) == (0, 0, 0))
      #expect((other.storedChunks, other.storedBytes, other.storedThrough) == (2, Int64(2 * mebibyte), 2))
      #expect(try journal.sendable(Self.chunk(0)) != nil)
      #expect(try copies[0].sendable(Self.chunk(0)) == nil)
      #expect(try copies[0].sendable(Self.chunk(2)) != nil)
    }
  }

  @Test("a chunk that is reopened is no longer stored anywhere, at once and in every sum")
  func reopening() throws {
    try withCopies { journal, copies in
      try copies[0].record(stored(0, 1, 2))

      _ = try journal.reopen(Self.session, [1])

      let other = try row(copies[0])
      #expect((other.storedChunks, other.storedBytes, other.storedThrough) == (2, Int64(mebibyte + 5), 1))
      #expect(try copies[0].sendable(Self.chunk(1)) == nil)
      try copies[0].record(stored(1))
      #expect(try row(copies[0]).storedChunks == 2, "a receipt for the version before counts for nothing")
    }
  }

  @Test("chunks that are cut off leave no copies, and what is recorded there anew is sent anew")
  func truncation() throws {
    try withCopies { journal, copies in
      try copies[0].record(stored(0, 1, 2))

      let base = try journal.drop(Self.session, from: 1)
      try journal.record([
        .dropped(Self.session, from: 1, base: base), .sealed(Self.chunk(1), base, bytes: mebibyte),
      ])

      #expect(try row(copies[0]).storedChunks == 1)
      #expect(try copies[0].sendable(Self.chunk(1)) != nil)
    }
  }

  @Test("a recording is synced at a destination until its content changes; a new name only has to be told")
  func synced() throws {
    try withCopies { journal, copies in
      try copies[0].record(stored(0, 1, 2) + [.announced(Self.session, Self.facts)])
      let manifest = try #require(try copies[0].manifest(of: Self.session))
      try copies[0].record([.synced(Self.session, revision: manifest.revision)])
      #expect(try row(copies[0]).isSynced)
      #expect(try journal.session(Self.session)?.isSynced == false)

      try journal.record([.renamed(Self.session, SessionFacts(path: Array("b".utf8), inode: 3))])
      #expect(try row(copies[0]).isSynced)
      #expect(try !row(copies[0]).isAnnounced)
      try copies[0].record([.announced(Self.session, Self.facts)])
      #expect(try !row(copies[0]).isAnnounced, "that was the old name")

      _ = try journal.reopen(Self.session, [0])
      #expect(try !row(copies[0]).isSynced)
      try copies[0].record([.synced(Self.session, revision: manifest.revision)])
      #expect(try !row(copies[0]).isSynced, "an answer about the content before")
    }
  }

  @Test("what a destination turns out to lack is sent to it again, and to no other")
  func setbacks() throws {
    try withCopies([.stored, .stored]) { _, copies in
      for copy in copies {
        try copy.record(stored(0, 1, 2))
        try copy.record([.synced(Self.session, revision: try #require(try copy.manifest(of: Self.session)).revision)])
      }

      try copies[0].record([.unstored(Self.chunk(1))])

      #expect(try copies[0].restored(withSealed: false).first?.1.pending == [1..<2])
      #expect(try !row(copies[0]).isSynced)
      #expect(try row(copies[1]).isSynced)
      try copies[0].record([.rolledBack(Self.session, to: 0)])
      #expect(try copies[0].restored(withSealed: false).first?.1.pending == [0..<3])
    }
  }

  @Test("facts about recorders and people are not recorded twice")
  func sharedFacts() throws {
    try withCopies { journal, copies in
      try copies[0].record([
        .held(Self.session, true), .finished(Self.session, size: 1), .pausedByUser(true), .removed(Self.session),
        .sealed(Self.chunk(0), ChunkVersion(9), bytes: 1),
      ])

      let row = try #require(try journal.session(Self.session))
      #expect(!row.isHeld)
      #expect(row.size == Self.size)
      #expect(!journal.isPausedByUser)
      #expect(try journal.sendable(Self.chunk(0)) != nil)
    }
  }

  @Test("a deleted recording leaves nothing of any destination, also when an answer comes late")
  func removal() throws {
    try withCopies { journal, copies in
      try copies[0].record(stored(0) + [.remote(Self.session, RemoteFact("upload", "7"))])

      try journal.record([.removed(Self.session)])
      try copies[0].record(
        stored(1) + [.remote(Self.session, RemoteFact("upload", "8")), .announced(Self.session, Self.facts)])

      #expect(try copies[0].session(Self.session) == nil)
      #expect(try copies[0].remoteFacts(of: Self.session).isEmpty)
      try journal.record([.registered(Self.session, Self.facts), .sealed(Self.chunk(0), .first, bytes: 5)])
      #expect(try copies[0].restored(withSealed: false).first?.1.pending == [0..<1])
      #expect(try row(copies[0]).storedChunks == 0)
    }
  }

  @Test("remote facts of one destination are not another's")
  func remoteFacts() throws {
    try withCopies([.stored, .stored]) { journal, copies in
      try journal.record([.remote(Self.session, RemoteFact("upload", "first"))])
      try copies[0].record([.remote(Self.session, RemoteFact("upload", "second"))])

      #expect(try journal.remoteFacts(of: Self.session) == ["upload": "first"])
      #expect(try copies[0].remoteFacts(of: Self.session) == ["upload": "second"])
      #expect(try copies[1].remoteFacts(of: Self.session).isEmpty)
      let all = try journal.everyView().flatMap { try $0.sessions(withRemoteFact: "upload").map(\.number) }
      #expect(all == [Self.session.number, Self.session.number], "what doctor must leave alone")
      try copies[0].record([.remote(Self.session, RemoteFact("upload", nil))])
      #expect(try copies[0].remoteFacts(of: Self.session).isEmpty)
    }
  }

  @Test("a chunk that a destination holds otherwise becomes a later version for all")
  func superseded() throws {
    try withCopies([.stored, .stored]) { journal, copies in
      try journal.record(stored(0, 1, 2))
      try copies[1].record(stored(0, 1, 2))

      try copies[0].record([.superseded(Self.chunk(1), current: ChunkVersion(4))])

      #expect(try journal.restored().first?.1.pending == [1..<2])
      #expect(try copies[0].restored(withSealed: false).first?.1.pending == [0..<3])
      #expect(try copies[1].restored(withSealed: false).first?.1.pending == [1..<2])
      #expect(try journal.sendable(Self.chunk(1))?.version == ChunkVersion(5))
    }
  }

  @Test("local bytes go only when every destination has them, each by its own rule", arguments: [EvictionRule.stored, .synced, .never])
  func eviction(rule: EvictionRule) throws {
    try withCopies([.stored, rule]) { journal, copies in
      func evictable() throws -> Int { try journal.evictable(.stored, storedBefore: .infinity, max: 9).count }
      try journal.record(stored(0, 1, 2))
      #expect(try evictable() == 0)
      #expect(try journal.evict(Self.session, [0]).isEmpty)
      #expect(try journal.evictableBytes() == 0)

      try copies[0].record(stored(0, 1, 2))
      #expect(try evictable() == 0)
      try copies[1].record(stored(0))
      #expect(try evictable() == (rule == .stored ? 1 : 0))

      try copies[1].record(stored(1, 2))
      let revision = try #require(try copies[1].manifest(of: Self.session)).revision
      try copies[1].record([.synced(Self.session, revision: revision)])
      #expect(try evictable() == 3)
      #expect(try journal.evictableBytes() == Self.size)
      #expect(try journal.evict(Self.session, [0]) == [0])
    }
  }

  @Test("a chunk counts as stored, in the map of chunks too, when every destination has it")
  func places() throws {
    try withCopies { journal, copies in
      func places() throws -> [Int] {
        var indexes: [Int] = []
        try journal.eachChunk(of: Self.session) { if $1 == .stored { indexes.append($0) } }
        return indexes
      }
      try journal.record(stored(0, 1))
      try copies[0].record(stored(1, 2))
      #expect(try places() == [1])
    }
  }

  @Test("a destination that comes later is sent everything, evicted chunks too; one that is left out does not count")
  func changingDestinations() throws {
    try withCopies([.stored]) { journal, _ in
      try journal.record(stored(0, 1, 2))
      _ = try journal.useCopies([])
      #expect(try journal.evict(Self.session, [0]) == [0])

      let copy = try journal.useCopies([("late", .stored)])[0]

      #expect(try copy.restored(withSealed: false).first?.1.pending == [0..<3])
      #expect(try copy.sendable(Self.chunk(0)) != nil)
      #expect(try journal.evict(Self.session, [1]).isEmpty)
    }
  }

  @Test("people are told once that every destination has a recording, and again when its content has changed")
  func completion() throws {
    try withCopies([.stored]) { journal, copies in
      func sync(_ facts: [JournalFact]) throws {
        try journal.record(facts)
        try copies[0].record(facts)
      }
      try sync(stored(0, 1, 2))
      try journal.record([.synced(Self.session, revision: try #require(try journal.manifest(of: Self.session)).revision)])
      #expect(try !journal.claimCompletion(of: Self.session))

      try copies[0].record([
        .synced(Self.session, revision: try #require(try copies[0].manifest(of: Self.session)).revision)
      ])
      #expect(try journal.claimCompletion(of: Self.session))
      #expect(try !journal.claimCompletion(of: Self.session))
    }
  }

  @Test("destinations that change places are refused")
  func order() throws {
    try withCopies { journal, _ in
      _ = try journal.useCopies([("b", .stored)], first: "a")

      #expect(try journal.orderComplaint(first: "a", others: ["b"]) == nil)
      #expect(try journal.orderComplaint(first: "a", others: []) == nil)
      #expect(try journal.orderComplaint(first: "c", others: ["b"]) == nil)
      #expect(try journal.orderComplaint(first: "b", others: ["a"]) != nil)
      #expect(try journal.orderComplaint(first: "b", others: []) != nil)
    }
  }

  @Test("the age of the oldest byte that a destination lacks is that of its sealing, not of another's receipt")
  func lag() throws {
    try withCopies { journal, copies in
      let sealed = try #require(try journal.oldestPending(of: Self.session))
      try journal.record(stored(0, 1, 2))

      #expect(try journal.oldestPending(of: Self.session, from: try row(copies[0]).storedThrough) == sealed)
    }
  }
}

import Glibc
import Spool
import SystemPackage
import Testing
import UploadCore
import UploadProtocol

/// What grows without a network: queues must cost what they hold on the disk, not what they hold in memory.
@Suite("A long backlog")
struct BacklogTests {
  private func seals(_ events: [UploadEvent]) -> [Int] {
    events.compactMap { if case .sealed(let chunk, _, _) = $0 { chunk.index } else { nil } }
  }

  @Test("a sparse recording that is closed is sealed turn by turn, and finished only when all of it is")
  func sparse() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      let count = 20_000
      try take.truncate(to: Int64(count) * Int64(mebibyte))
      take.closed(forWriting: true)
      harness.clock.pass(.seconds(2))

      var sealed: [Int] = []
      var finishes = 0
      var turns = 0
      while finishes == 0, turns < 1_000 {
        turns += 1
        let events = try harness.record()
        #expect(events.count <= 4_096 + 2 * SealPolicy().batch, "a turn is bounded")
        sealed += seals(events)
        finishes += events.count { if case .finished = $0 { true } else { false } }
        if finishes == 0 { #expect(harness.inbox.deadline == harness.clock.now, "nobody else will wake the uploader") }
      }

      #expect(sealed == Array(0..<count))
      #expect(finishes == 1)
      #expect(try harness.spool.journal.chunks(of: take.session, count: count).handedOff.count == count)
    }
  }

  @Test("a recording that is closed while a hole of it is still unsealed goes on after a death")
  func sparseAndKilled() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try take.truncate(to: 9_000 * Int64(mebibyte))
      take.closed(forWriting: true)
      try harness.record()

      let (report, events) = try harness.reopen()
      #expect(report.unfinished == 1)
      var count = try harness.spool.journal.chunks(of: take.session, count: 9_000).handedOff.count + seals(events).count
      for _ in 0..<100 where count < 9_000 { count += seals(try harness.record()).count }
      #expect(count == 9_000)
    }
  }

  @Test("the mailbox is bounded by its limit, whatever is written while nobody reads it")
  func fullMailbox() throws {
    try withHarness { harness in
      let limit = Mailbox<Int>().limit
      let take = try harness.create("take")
      // Every write of one byte at a chunk's end, after one before it, seals as an append would, without its megabytes.
      let count = limit + 5_000
      for index in 0..<count {
        let offset = Int64(index) * Int64(mebibyte)
        let change = try take.beginWrite(offset: offset, count: Int64(mebibyte))
        take.endWrite(change, offset: offset, written: Int64(mebibyte))
      }
      #expect(ftruncate(take.descriptor.rawValue, count * mebibyte) == 0)

      var sealed = Set(seals(try harness.record()))
      #expect(sealed.count <= limit + 4_096 + 2 * SealPolicy().batch)
      #expect(sealed.count < count)
      for _ in 0..<100 where sealed.count < count { sealed.formUnion(seals(try harness.record())) }
      #expect(sealed.count == count, "and nothing is forgotten")
      take.closed(forWriting: true)
    }
  }

  @Test("a seal from before a truncation that is recorded after it brings no row back")
  func staleSeal() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: 5 * mebibyte + 7))
      take.flush()
      // What the uploader has drained and not recorded yet: chunk 5 with its 7 bytes.
      let drained = harness.drain()
      try harness.spool.journal.record([
        .registered(take.session, SessionFacts(path: Array("take".utf8), inode: take.inode)), .opened(take.session),
      ])
      try take.truncate(to: 2 * Int64(mebibyte))
      try harness.spool.journal.record(
        drained.compactMap { if case .sealed(let chunk, let version, let bytes) = $0 { .sealed(chunk, version, bytes: bytes) } else { nil } })
      #expect(try harness.spool.journal.chunks(of: take.session, count: 6).handedOff.indexes == [0, 1])

      // It grows again, and the process dies before the uploader has heard of the truncation.
      try harness.write(take, 2 * Int64(mebibyte), [UInt8](repeating: 2, count: 5 * mebibyte))
      _ = harness.drain()
      let (_, events) = try harness.reopen()

      #expect(seals(events) == [2, 3, 4, 5, 6], "all that came after is sealed from the file, with its real length")
    }
  }

  @Test("seals of before a truncation count below it, and those of after it count everywhere")
  func sealsAroundTruncation() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.record()
      let journal = harness.spool.journal
      let first = try journal.drop(take.session, from: 3)
      let second = try journal.drop(take.session, from: 7)
      try journal.record([
        .sealed(ChunkID(take.session, 1), .first, bytes: 5), .sealed(ChunkID(take.session, 4), .first, bytes: 5),
        .sealed(ChunkID(take.session, 5), first, bytes: 5), .sealed(ChunkID(take.session, 8), first, bytes: 5),
        .dropped(take.session, from: 3, base: first), .sealed(ChunkID(take.session, 9), first, bytes: 5),
        .dropped(take.session, from: 7, base: second), .sealed(ChunkID(take.session, 9), second, bytes: 5),
      ])

      #expect(try journal.chunks(of: take.session, count: 20).handedOff.indexes == [1, 5, 9])
    }
  }
}

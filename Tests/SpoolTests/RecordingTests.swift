import Glibc
import Spool
import SystemPackage
import Testing
import UploadCore
import UploadProtocol

@Suite("Recording")
struct RecordingTests {
  private func sealed(_ events: [UploadEvent]) -> [Int] {
    events.compactMap { if case .sealed(let chunk, _, _) = $0 { chunk.index } else { nil } }
  }

  @Test("a new recording is registered, opened, and its chunks are sealed as they fill")
  func appending() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: 2 * mebibyte + 3))

      let events = try harness.record()
      #expect(events.first == .registered(take.session, SessionFacts(path: Array("take".utf8), inode: take.inode)))
      #expect(events.contains(.opened(take.session)))
      #expect(sealed(events) == [0, 1])
    }
  }

  @Test("the last writer's close seals the tail, and after the settle time it is finished")
  func closing() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [1, 2, 3])
      take.closed(forWriting: true)
      let before = try harness.record()
      #expect(sealed(before) == [0])
      #expect(!before.contains(.finished(take.session, size: 3)))

      harness.clock.pass(.seconds(1))
      #expect(try harness.record() == [.finished(take.session, size: 3)])
    }
  }

  @Test("a small new recording is sealed when it has settled, in one turn with its end")
  func smallClosing() throws {
    let harness = try SpoolHarness(wholeBytesMax: 64 << 10)
    defer { harness.remove() }
    let take = try harness.create("take")
    try harness.write(take, 0, [1, 2, 3])
    take.closed(forWriting: true)
    #expect(sealed(try harness.record()) == [])
    // A writer that comes back has not changed anything that was told.
    try take.opened(forWriting: true)
    try harness.write(take, 3, [4])
    take.closed(forWriting: true)
    #expect(sealed(try harness.record()) == [])

    harness.clock.pass(.seconds(1))
    let last = try harness.record()
    #expect(last == [.sealed(ChunkID(take.session, 0), .first, bytes: 4), .finished(take.session, size: 4)])
    #expect(harness.drain().isEmpty)
  }

  @Test("a small recording that was sealed before, or is not small, is sealed when it is closed")
  func otherClosings() throws {
    let harness = try SpoolHarness(wholeBytesMax: 64 << 10)
    defer { harness.remove() }
    let long = try harness.create("long")
    try harness.write(long, 0, [UInt8](repeating: 1, count: (64 << 10) + 1))
    long.closed(forWriting: true)
    #expect(sealed(try harness.record()) == [0])

    let slow = try harness.create("slow")
    try harness.write(slow, 0, [1])
    harness.clock.pass(.seconds(60))
    #expect(sealed(try harness.record()) == [0])
    try harness.write(slow, 1, [2])
    slow.closed(forWriting: true)
    #expect(sealed(try harness.record()) == [0])
  }

  @Test("small recordings are read with all that is told of them, and what cannot be read now is left out")
  func wholes() throws {
    let harness = try SpoolHarness(wholeBytesMax: 64 << 10)
    defer { harness.remove() }
    var source = SpoolSource(spool: harness.spool)
    let takes = try (0..<4).map { try harness.create("take \($0)") }
    for (number, take) in takes.enumerated() {
      try harness.write(take, 0, [UInt8](repeating: UInt8(number), count: 10 + number))
      take.closed(forWriting: true)
    }
    for (number, note) in [(0, "loud"), (2, String(repeating: "a", count: 500))] {
      try Backing.setAttribute(
        Array("user.note".utf8), Array(note.utf8), flags: 0, of: harness.spool.tree.place(takes[number].inode))
    }
    harness.clock.pass(.seconds(1))
    try harness.record()
    // Open again, and being changed.
    try takes[1].opened(forWriting: true)
    try harness.write(takes[1], 0, [9])
    try harness.record()
    defer { takes[1].closed(forWriting: true) }

    let loaded = source.load(.recordings(takes.map(\.session)))

    guard case .payload(.recordings(let batch)) = loaded else {
      Issue.record("nothing was read: \(loaded)")
      return
    }
    #expect(batch.map(\.announcement.session) == [takes[0].session, takes[3].session])
    #expect(batch[0].announcement.metadata == ["note": Array("loud".utf8)])
    #expect(batch[0].announcement.facts == SessionFacts(path: Array("take 0".utf8), inode: takes[0].inode))
    #expect(batch[0].bytes == [UInt8](repeating: 0, count: 10))
    #expect(batch[1].bytes == [UInt8](repeating: 3, count: 13))
    #expect(batch[1].version == .first)
    guard case .outcome(.recordingsStored([])) = source.load(.recordings([takes[1].session])) else {
      Issue.record("an open recording was read")
      return
    }
  }

  @Test("a writer that comes back within the settle time keeps it unfinished")
  func comingBack() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      take.closed(forWriting: true)
      let again = try harness.spool.tree.reading { () throws(SpoolError) in
        try harness.spool.open(take.inode, forWriting: true)
      }
      harness.clock.pass(.seconds(5))

      #expect(again === take)
      #expect(try !harness.record().contains(.finished(take.session, size: 0)))
      again.closed(forWriting: true)
      harness.clock.pass(.seconds(1))
      #expect(try harness.record().contains(.finished(take.session, size: 0)))
    }
  }

  @Test("before bytes of a sealed chunk change, the journal has it open")
  func rewriting() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: mebibyte))
      try harness.record()

      let change = try take.beginWrite(offset: 4, count: 4)
      #expect(try harness.spool.journal.chunks(of: take.session, count: 1).reopened == [0: ChunkVersion(2)])
      take.endWrite(change, offset: 4, written: 4)
      #expect(try harness.record().contains(.reopened(ChunkID(take.session, 0))))
    }
  }

  @Test("what is sent is read when it is sent, with the version that the journal has then")
  func source() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: mebibyte))
      try harness.record()
      var source = SpoolSource(spool: harness.spool)
      guard case .payload(.chunk(let payload)) = source.load(.chunk(ChunkID(take.session, 0))) else {
        Issue.record("no payload")
        return
      }
      #expect(payload.version == .first && payload.bytes == [UInt8](repeating: 1, count: mebibyte))

      try harness.write(take, 0, [9])
      guard case .outcome(.stale) = source.load(.chunk(ChunkID(take.session, 0))) else {
        Issue.record("an open chunk must not be sent")
        return
      }
    }
  }

  @Test("a shortened recording has no chunk beyond its end, and grows with later versions")
  func truncating() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: 3 * mebibyte))
      try harness.record()
      try take.truncate(to: Int64(mebibyte))
      try harness.write(take, Int64(mebibyte), [UInt8](repeating: 2, count: mebibyte))

      let events = try harness.record()
      let versions = events.compactMap { if case .sealed(let chunk, let version, _) = $0 { (chunk.index, version) } else { nil } }
      #expect(versions.map(\.0) == [1])
      #expect(versions.allSatisfy { $0.1 > .first })
      let chunks = try harness.spool.journal.chunks(of: take.session, count: 2)
      #expect(chunks.handedOff.contains(0) && chunks.handedOff.contains(1) && !chunks.hasExcess)
    }
  }

  @Test("a deleted recording leaves the queue at once, and its writer can go on")
  func removed() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.record()
      take.removed()
      try harness.write(take, 0, [UInt8](repeating: 1, count: mebibyte))

      let events = try harness.record()
      #expect(events == [.removed(take.session)])
      #expect(try harness.spool.journal.session(take.session) == nil)
    }
  }

  @Test("a manifest is there only when every chunk is stored")
  func manifest() throws {
    try withHarness { harness in
      let take = try harness.create("take")
      try harness.write(take, 0, [UInt8](repeating: 1, count: mebibyte + 1))
      take.closed(forWriting: true)
      harness.clock.pass(.seconds(1))
      try harness.record()
      try harness.spool.journal.record([.stored(ChunkID(take.session, 0), .first, digest(1))])
      var source = SpoolSource(spool: harness.spool)
      guard case .outcome(.incomplete(let missing)) = source.load(.complete(take.session)) else {
        Issue.record("a manifest with a chunk missing")
        return
      }
      #expect(missing == [1])

      try harness.spool.journal.record([.stored(ChunkID(take.session, 1), .first, digest(2))])
      guard case .payload(.complete(let manifest)) = source.load(.complete(take.session)) else {
        Issue.record("no manifest")
        return
      }
      #expect(manifest.size == Int64(mebibyte + 1))
      #expect(manifest.digests == digest(1).bytes + digest(2).bytes)
    }
  }
}

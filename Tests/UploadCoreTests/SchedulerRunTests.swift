import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: destinations that take runs of chunks")
struct SchedulerRunTests {
  /// Parts of two chunks; up to two chunks travel with the completion.
  static let parts = TransferGeometry.parts(PartLayout(chunksPerPart: 2), wholeChunksMax: 2)
  static let appended = TransferGeometry.appended(headChunks: 1, runChunksMax: 3, waitsForClose: false)

  static func harness(_ geometry: TransferGeometry) -> SchedulerHarness {
    SchedulerHarness { $0.geometry = geometry }
  }

  /// A recording with `sealed` chunks, registered; its announcement answered if one is asked for.
  static func record(_ harness: inout SchedulerHarness, sealed: Int) -> [Transfer] {
    harness.tell(.registered(session(1), facts(session(1))))
    var waiting = starts(harness.effects)
    for index in 0..<sealed {
      waiting += starts(harness.tell(.sealed(chunk(1, index), .first, bytes: ChunkLayout.chunkBytes)))
    }
    return waiting
  }

  static func receipt(_ transfer: Transfer, _ facts: [RemoteFact] = []) -> TransferOutcome {
    guard case .run(let run) = transfer.request else { return .stale }
    return .runStored(run.chunks.map { StoredChunk(index: $0, version: .first, digest: digest(1)) }, facts)
  }

  static func runs(_ transfers: [Transfer]) -> [Range<Int>] {
    transfers.compactMap { if case .run(let run) = $0.request { run.chunks } else { nil } }
  }

  /// A small recording that was closed: its completion, asked for without an announcement.
  static func smallRecording(_ harness: inout SchedulerHarness) -> Transfer? {
    _ = record(&harness, sealed: 1)
    harness.tell(.finished(session(1), size: Int64(ChunkLayout.chunkBytes)))
    let completion = starts(harness.effects).first
    #expect(completion?.request == .complete(session(1)))
    return completion
  }

  @Test("a small recording of which something was begun under another name is announced, not completed for ever")
  func begunUnderAnotherName() throws {
    var harness = Self.harness(Self.parts)
    let completion = try #require(Self.smallRecording(&harness))
    harness.end(completion, .sessionUnknown)
    let announcement = try #require(starts(harness.effects).first)
    #expect(announcement.request == .announce(session(1)))
    harness.end(announcement, .rolledBack(to: 0, []))
    #expect(starts(harness.effects).map(\.request) == [.complete(session(1))])
  }

  @Test("a small recording of which parts were begun is announced, and then sent as a part")
  func begunInParts() throws {
    var harness = Self.harness(Self.parts)
    let completion = try #require(Self.smallRecording(&harness))
    harness.end(completion, .incomplete(missing: [0]))
    let announcement = try #require(starts(harness.effects).first)
    #expect(announcement.request == .announce(session(1)))
    harness.end(announcement, .announced(facts(session(1))))
    #expect(Self.runs(starts(harness.effects)) == [0..<1])
  }

  @Test("what a completion carries counts against the limit, and a step that carries nothing does not")
  func limitedCompletion() throws {
    var harness = Self.harness(Self.parts)
    harness.tell(.control(.limit(bytesPerSecond: ChunkLayout.chunkBytes / 10)))
    let completion = try #require(Self.smallRecording(&harness))
    let stored = [StoredChunk(index: 0, version: .first, digest: digest(1))]
    harness.end(completion, .runStored(stored, []))
    #expect(starts(harness.effects).isEmpty, "a mebibyte takes ten seconds, and a new limit starts with nothing saved up")
    let last = try #require(starts(harness.pass(.seconds(11))).first)
    harness.end(last, .advanced([]))
    #expect(starts(harness.effects).map(\.request) == [.complete(session(1))])
  }

  @Test("nothing is sent while the destination has not said what it takes, and everything is once it has")
  func undiscovered() throws {
    var harness = Self.harness(.undiscovered)
    let first = Self.record(&harness, sealed: 4)
    #expect(first.map(\.request) == [.probe])

    harness.tell(.discovered(Self.appended))
    harness.end(first[0], .reachable)
    #expect(starts(harness.effects).map(\.request) == [.announce(session(1))])
  }

  @Test("a part is sent when it is complete and another chunk follows; the first part waits for the close")
  func completeParts() throws {
    var harness = Self.harness(Self.parts)
    #expect(Self.record(&harness, sealed: 4).isEmpty, "chunk 3 may still grow, chunks 0 and 1 wait")
    harness.tell(.sealed(chunk(1, 4), .first, bytes: 7))
    let announcement = try #require(starts(harness.effects).first)
    harness.end(announcement, .announced(facts(session(1))))
    let part = try #require(starts(harness.effects).first)
    #expect(part.request == .run(ChunkRun(session(1), 2..<4)))

    harness.end(part, Self.receipt(part, [RemoteFact("part.2", "etag")]))
    #expect(records(harness.effects).contains(.remote(session(1), RemoteFact("part.2", "etag"))))
    #expect(records(harness.effects).filter { if case .stored = $0 { true } else { false } }.count == 2)
    harness.tell(.finished(session(1), size: Int64(4 * ChunkLayout.chunkBytes + 7)))
    #expect(Self.runs(starts(harness.effects)) == [0..<2, 4..<5])
  }

  @Test("a small recording that closes before anything was sent is one completion, without an announcement")
  func whole() throws {
    var harness = Self.harness(Self.parts)
    #expect(Self.record(&harness, sealed: 2).isEmpty)
    harness.tell(.finished(session(1), size: 9))
    let completion = try #require(starts(harness.effects).first)
    #expect(completion.request == .complete(session(1)))

    let chunks = (0..<2).map { StoredChunk(index: $0, version: .first, digest: digest(1)) }
    harness.end(completion, .runStored(chunks, [RemoteFact("object", "etag")]))
    #expect(harness.scheduler.pendingChunks == 0)
    let second = try #require(starts(harness.effects).first)
    #expect(second.request == .complete(session(1)))
    harness.end(second, .completed(revision: 3))
    #expect(records(harness.effects) == [.synced(session(1), revision: 3)])
  }

  @Test("a chunk that changes while its part is on its way is sent again with the whole part, and only its receipt is ignored")
  func changedInFlight() throws {
    var harness = Self.harness(Self.parts)
    _ = Self.record(&harness, sealed: 5)
    harness.end(try #require(starts(harness.effects).first), .announced(facts(session(1))))
    let part = try #require(starts(harness.effects).first)
    harness.tell(.reopened(chunk(1, 3)))
    harness.end(part, Self.receipt(part))
    #expect(records(harness.effects) == [.stored(chunk(1, 2), .first, digest(1))])
    #expect(starts(harness.effects).isEmpty, "chunk 3 is open")

    harness.tell(.sealed(chunk(1, 3), ChunkVersion(2), bytes: ChunkLayout.chunkBytes))
    #expect(Self.runs(starts(harness.effects)) == [2..<4])
  }

  @Test("appended runs follow each other one at a time, and the head travels with the completion")
  func appendedInOrder() throws {
    var harness = Self.harness(Self.appended)
    _ = Self.record(&harness, sealed: 6)
    harness.end(try #require(starts(harness.effects).first ?? harness.announcement), .announced(facts(session(1))))
    let first = try #require(starts(harness.effects).first)
    #expect(Self.runs([first]) == [1..<4])
    #expect(starts(harness.effects).count == 1)
    harness.end(first, Self.receipt(first))
    let second = try #require(starts(harness.effects).first)
    #expect(Self.runs([second]) == [4..<5], "chunk 5 may still grow")
    harness.end(second, Self.receipt(second))
    #expect(starts(harness.effects).isEmpty)

    harness.tell(.finished(session(1), size: Int64(6 * ChunkLayout.chunkBytes)))
    let last = try #require(starts(harness.effects).first)
    #expect(Self.runs([last]) == [5..<6])
    harness.end(last, Self.receipt(last))
    let completion = try #require(starts(harness.effects).first)
    #expect(completion.request == .complete(session(1)), "chunk 0 travels with it")
  }

  @Test("what a destination lost is announced and sent again from there on")
  func rolledBack() throws {
    var harness = Self.harness(Self.appended)
    _ = Self.record(&harness, sealed: 6)
    harness.end(try #require(starts(harness.effects).first ?? harness.announcement), .announced(facts(session(1))))
    let first = try #require(starts(harness.effects).first)
    harness.end(first, Self.receipt(first))
    let second = try #require(starts(harness.effects).first)
    harness.end(second, .rolledBack(to: 1, [RemoteFact("tail", nil)]))
    #expect(records(harness.effects) == [
      .remote(session(1), RemoteFact("tail", nil)), .unannounced(session(1)), .rolledBack(session(1), to: 1),
    ])
    harness.end(try #require(starts(harness.effects).first), .announced(facts(session(1))))
    #expect(Self.runs(starts(harness.effects)) == [1..<4])
  }

  @Test("a destination that must know the length is sent nothing before the close")
  func waitsForClose() throws {
    var harness = Self.harness(.appended(headChunks: 0, runChunksMax: 8, waitsForClose: true))
    #expect(Self.record(&harness, sealed: 5).isEmpty)
    harness.tell(.finished(session(1), size: Int64(5 * ChunkLayout.chunkBytes)))
    harness.end(try #require(starts(harness.effects).first), .announced(facts(session(1))))
    #expect(Self.runs(starts(harness.effects)) == [0..<5])
  }

  @Test("an answer that is only a step is asked for more")
  func steps() throws {
    var harness = Self.harness(Self.appended)
    _ = Self.record(&harness, sealed: 3)
    let announcement = try #require(starts(harness.effects).first ?? harness.announcement)
    harness.end(announcement, .advanced([RemoteFact("tail", "/files/1")]))
    #expect(records(harness.effects) == [.remote(session(1), RemoteFact("tail", "/files/1"))])
    #expect(starts(harness.effects).map(\.request) == [.announce(session(1))])
  }

  @Test("what was sealed before a restart is planned with")
  func restoredSession() throws {
    var harness = Self.harness(Self.parts)
    harness.tell(
      .restored(
        session(1),
        RestoredSession(
          facts: facts(session(1)), pending: [3..<5], sealed: [0..<5], isAnnounced: true, isFinished: false,
          isSynced: false, failure: nil, priority: .normal, isHeld: false)))
    #expect(Self.runs(starts(harness.effects)) == [2..<4], "half of the part is stored; it goes as a whole")
  }
}

extension SchedulerHarness {
  /// The announcement that is under way.
  var announcement: Transfer? {
    scheduler.inFlight.first.map { Transfer(id: $0, request: .announce(session(1))) }
  }
}

import Foundation
import Glibc
import Spool
import Synchronization
import SystemPackage
import Testing
import UploadCore
import UploadProtocol

@Suite("Feed of a further destination")
struct CopyFeedTests {
  private func inbox(_ harness: SpoolHarness, _ place: Int = 0) throws -> CopyInbox {
    try CopyInbox(spool: harness.spool, feed: harness.feeds[place], controls: Mailbox<UploadEvent>())
  }

  /// A closed recording of a chunk and five bytes, recorded in the journal.
  private func record(_ harness: SpoolHarness, _ name: String = "take") throws -> Recording {
    let recording = try harness.create(name)
    try harness.write(recording, 0, [UInt8](repeating: 7, count: mebibyte + 5))
    recording.closed(forWriting: true)
    harness.clock.pass(.seconds(2))
    try harness.record()
    return recording
  }

  private func bytes(_ loaded: LoadedTransfer<UploadPayload>) -> [UInt8]? {
    if case .payload(.chunk(let payload)) = loaded { payload.bytes } else { nil }
  }

  private func outcome(_ loaded: LoadedTransfer<UploadPayload>) -> TransferOutcome? {
    if case .outcome(let outcome) = loaded { outcome } else { nil }
  }

  @Test("what is known of a session reaches a further destination's uploader when the journal has it")
  func afterTheCommit() throws {
    let harness = try SpoolHarness(further: 1)
    defer { harness.remove() }
    var inbox = try inbox(harness)
    let recording = try harness.create("take")
    try harness.write(recording, 0, [UInt8](repeating: 7, count: mebibyte))
    #expect(inbox.drain(now: harness.clock.now).isEmpty)

    try harness.record()
    let session = recording.session
    let events = inbox.drain(now: harness.clock.now)
    #expect(events.first == .registered(session, SessionFacts(path: Array("take".utf8), inode: recording.inode)))
    #expect(events.contains(.opened(session)))
    #expect(events.last == .sealed(ChunkID(session, 0), .first, bytes: mebibyte))

    try harness.spool.journal.record([.held(session, true), .prioritized(session, .high), .removed(session)])
    let later = inbox.drain(now: harness.clock.now)
    #expect(later.contains(.control(.hold(session))))
    #expect(later.contains(.control(.prioritize(session, .high))))
    #expect(later.last == .removed(session))
  }

  @Test("being told of the thousandth commit takes no more of the stack than being told of the first")
  func theSameDepth() throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    let journal = try Journal(path: harness.folder + "/other.sqlite")
    defer { journal.close() }
    let stacks = Mutex<[UInt]>([])
    let copies = try journal.useCopies([("copy", .stored)])
    let feed = CopyFeed(
      journal: copies[0], plansRuns: false,
      wake: {
        var mark: UInt8 = 0
        let place = withUnsafePointer(to: &mark) { UInt(bitPattern: $0) }
        stacks.withLock { $0.append(place) }
      })
    let spool = Spool(
      tree: harness.spool.tree, journal: journal, clock: harness.clock, sealPolicy: SealPolicy(), settleTime: .seconds(1),
      feeds: [feed], wake: {})
    var inbox = try CopyInbox(spool: spool, feed: feed, controls: Mailbox<UploadEvent>())
    let session = SessionID(number: 1)

    for _ in 0..<1_000 {
      try journal.record([.prioritized(session, .high)])
      _ = inbox.drain(now: harness.clock.now)
    }

    let places = stacks.withLock { $0 }
    #expect(places.count == 1_000)
    #expect(places[0] - places[999] < 4_096, "\(places[0] - places[999]) bytes deeper")
  }

  @Test("an event about a session comes with what the journal knows of it at that destination")
  func introductions() throws {
    let harness = try SpoolHarness(further: 1)
    defer { harness.remove() }
    let recording = try record(harness)
    let copy = harness.feeds[0].journal
    try copy.record([.failed(recording.session, "too large")])
    var inbox = try inbox(harness)
    _ = inbox.drain(now: harness.clock.now)

    try harness.spool.journal.record([.opened(recording.session)])

    let introduced = inbox.drain(now: harness.clock.now).compactMap { event -> RestoredSession? in
      if case .introduced(_, let restored) = event { restored } else { nil }
    }
    #expect(introduced.map(\.failure) == ["too large"])
  }

  @Test("a destination is sent what it lacks, whatever another has")
  func sources() throws {
    let harness = try SpoolHarness(further: 1)
    defer { harness.remove() }
    let chunk = ChunkID(try record(harness).session, 0)
    var (first, other) = (
      SpoolSource(spool: harness.spool), SpoolSource(spool: harness.spool, journal: harness.feeds[0].journal)
    )
    guard case .payload(.chunk(let payload)) = first.load(.chunk(chunk)) else {
      Issue.record("nothing to send")
      return
    }

    try harness.spool.journal.record([.stored(chunk, payload.version, payload.digest)])

    #expect(outcome(first.load(.chunk(chunk))) == .stale)
    #expect(bytes(other.load(.chunk(chunk)))?.count == mebibyte)
  }

  @Test("bytes that were changed behind reelfs' back are not sent as a version of which another destination has others")
  func changedBytes() throws {
    let harness = try SpoolHarness(further: 1)
    defer { harness.remove() }
    let recording = try record(harness)
    let chunk = ChunkID(recording.session, 0)
    var (first, other) = (
      SpoolSource(spool: harness.spool), SpoolSource(spool: harness.spool, journal: harness.feeds[0].journal)
    )
    guard case .payload(.chunk(let payload)) = first.load(.chunk(chunk)) else {
      Issue.record("nothing to send")
      return
    }
    try harness.spool.journal.record([.stored(chunk, payload.version, payload.digest)])

    _ = try recording.descriptor.writeAll(toAbsoluteOffset: 9, [1, 2, 3])

    guard case .unreadable(let words)? = outcome(other.load(.chunk(chunk))) else {
      Issue.record("other bytes were sent")
      return
    }
    #expect(words.contains("changed behind"))
  }

  @Test("a chunk that was given up here is fetched back for a destination that lacks it")
  func evictedChunk() throws {
    let whole = [UInt8](repeating: 7, count: mebibyte)
    let harness = try SpoolHarness(further: 1, fetchChunk: { _ in whole })
    defer { harness.remove() }
    let recording = try record(harness)
    let chunk = ChunkID(recording.session, 0)
    var first = SpoolSource(spool: harness.spool)
    guard case .payload(.chunk(let payload)) = first.load(.chunk(chunk)) else {
      Issue.record("nothing to send")
      return
    }
    // Another destination comes later.
    _ = try harness.spool.journal.useCopies([])
    try harness.spool.journal.record([.stored(chunk, payload.version, payload.digest)])
    #expect(try recording.evict([0]) == 1)
    let copy = try harness.spool.journal.useCopies([("late", .stored)])[0]
    var late = SpoolSource(spool: harness.spool, journal: copy)

    guard case .notHere? = outcome(late.load(.chunk(chunk))) else {
      Issue.record("holes were sent")
      return
    }
    let deadline = ContinuousClock.now + .seconds(10)
    var sent: [UInt8]?
    while sent == nil, ContinuousClock.now < deadline { sent = bytes(late.load(.chunk(chunk))) }
    #expect(sent == whole)
  }
}

import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: room between requests after refusals")
struct SchedulerSpacingTests {
  private static let stored = TransferOutcome.stored(.first, digest(1), bytes: ChunkLayout.chunkBytes)
  private static let refused = TransferOutcome.throttled("503", after: .seconds(1))

  /// A session with endless work; each request is answered 50 ms after the one before.
  private struct Load {
    var harness = SchedulerHarness()
    var waiting: [Transfer] = []

    init() {
      harness.restore(1, pending: [0..<100_000])
      waiting = starts(harness.effects)
    }

    var room: Span? { harness.scheduler.summary.spacing }

    /// - Returns: requests answered within `seconds`.
    mutating func run(seconds: Int64, _ answer: (Int) -> TransferOutcome) throws -> Int {
      var count = 0
      let end = harness.now + .seconds(seconds)
      while harness.now < end {
        if waiting.isEmpty {
          try pass()
        } else {
          count += 1
          harness.now = harness.now + .milliseconds(50)
          harness.end(waiting.removeFirst(), answer(count))
          waiting += starts(harness.effects)
        }
      }
      return count
    }

    /// Until something is due.
    mutating func pass() throws {
      harness.now = max(harness.now, try #require(harness.scheduler.deadline))
      harness.tell(.timePassed)
      waiting += starts(harness.effects)
    }
  }

  @Test("a machine alone that is refused once is back at full speed within half a minute")
  func once() throws {
    var load = Load()
    _ = try load.run(seconds: 10) { _ in Self.stored }
    _ = try load.run(seconds: 30) { $0 == 1 ? Self.refused : Self.stored }
    #expect(load.room == nil)
    let count = try load.run(seconds: 10) { _ in Self.stored }
    #expect(count > 190)
  }

  @Test("each refusal doubles the room, up to a fifth of the longest delay; a burst counts once")
  func doubling() throws {
    var load = Load()
    _ = try load.run(seconds: 1) { _ in Self.stored }
    var rooms: [Span] = []
    while rooms.last != .seconds(12), rooms.count < 20 {
      while load.waiting.isEmpty { try load.pass() }
      for transfer in load.waiting { load.harness.end(transfer, Self.refused) }
      load.waiting = []
      rooms.append(try #require(load.room))
    }
    #expect(rooms.last == .seconds(12))
    #expect(zip(rooms, rooms.dropFirst()).allSatisfy { $1 == min($0 + $0, .seconds(12)) })
  }

  @Test("a destination that refuses three of four requests is asked less and less")
  func overloaded() throws {
    var load = Load()
    let count = try load.run(seconds: 600) { $0 % 4 == 0 ? Self.stored : Self.refused }
    #expect(count < 120)
  }

  @Test("who asks for it gets everything at once again")
  func asked() throws {
    var load = Load()
    _ = try load.run(seconds: 120) { $0 % 4 == 0 ? Self.stored : Self.refused }
    #expect(load.room != nil)
    load.harness.tell(.control(.processUploads(nil, force: true)))
    load.waiting = starts(load.harness.effects)
    #expect(load.room == nil)
    let count = try load.run(seconds: 10) { _ in Self.stored }
    #expect(count > 180)
  }
}

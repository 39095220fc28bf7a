import Testing
import UploadCore
import UploadProtocol

@Suite("Upload loop")
struct UploadLoopTests {
  @Test("facts are recorded before anything is sent, and told after")
  func order() {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = [.registered(session(1), facts(session(1)))]

    loop.turn()

    #expect(world.log == ["record", "start", "publish"])
  }

  @Test("while the journal fails nothing is sent and nothing is told; then everything is, in order")
  func journalFails() {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.journalFails = true
    world.inbox = [.registered(session(1), facts(session(1))), .opened(session(1))]

    loop.turn()
    #expect(world.started.isEmpty && world.notices.isEmpty)
    #expect(world.summary.journalError == "disk full")
    world.inbox = [.sealed(chunk(1, 0), .first, bytes: 1)]
    world.journalFails = false
    loop.turn()
    #expect(world.started.isEmpty, "it is tried again after a second, not at once")
    world.now = world.now + .seconds(1)
    loop.turn()

    #expect(
      world.facts == [
        .registered(session(1), facts(session(1))), .opened(session(1)), .sealed(chunk(1, 0), .first, bytes: 1),
      ])
    #expect(world.started.map(\.request) == [.announce(session(1))])
    #expect(world.notices == [.sessionRegistered(session(1))])
    #expect(world.summary.journalError == nil)
  }

  @Test("the time of what a failing journal holds back does not run")
  func heldBackDoesNotStall() {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.journalFails = true
    world.inbox = [.registered(session(1), facts(session(1)))]

    for _ in 0..<200 {
      loop.turn()
      world.now = world.now + .seconds(1)
    }
    world.journalFails = false
    loop.turn()

    #expect(world.started.map(\.request) == [.announce(session(1))])
    #expect(world.summary.troubled.isEmpty)
    #expect(!world.log.contains { $0.hasPrefix("cancel") })
  }

  @Test("what a failing journal holds back is not started after a pause, but after it")
  func heldBackMeetsPause() throws {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = [world.restored(1, pending: [0..<3])]
    loop.turn()
    let first = try #require(world.started.first)
    world.journalFails = true
    world.reports = [.transferred(first.id, .stored(.first, digest(1), bytes: ChunkLayout.chunkBytes))]
    loop.turn()
    #expect(loop.scheduler.inFlight.count == 2, "decided, and held back")

    world.inbox = [.control(.pauseAll)]
    loop.turn()
    world.journalFails = false
    world.now = world.now + .seconds(1)
    loop.turn()
    #expect(world.started == [first])
    #expect(loop.scheduler.inFlight.isEmpty)

    world.inbox = [.control(.resumeAll)]
    loop.turn()
    #expect(world.started.dropFirst().map(\.request) == [.chunk(chunk(1, 1)), .chunk(chunk(1, 2))])
  }

  @Test("a transfer that is cancelled before it started is never started")
  func cancelledBeforeStart() {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = [.registered(session(1), facts(session(1))), .removed(session(1))]

    loop.turn()

    #expect(world.started.isEmpty)
    #expect(!world.log.contains { $0.hasPrefix("cancel") })
  }

  @Test("what ends while it is loaded makes room for the next within the same turn")
  func loadOutcomes() {
    let world = LoopWorld()
    var loop = world.makeLoop()
    for index in 0..<5 { world.loads[.chunk(chunk(1, index))] = [.stale] }
    world.inbox = [world.restored(1, pending: [0..<6])]

    loop.turn()

    #expect(world.started.map(\.request) == [.chunk(chunk(1, 5))])
  }

  @Test("a turn starts a bounded number of rounds, and the next goes on at once")
  func boundedTurn() throws {
    let world = LoopWorld()
    var loop = world.makeLoop()
    for index in 0..<50 { world.loads[.chunk(chunk(1, index))] = [.stale] }
    world.inbox = [world.restored(1, pending: [0..<51])]

    loop.turn()
    #expect(world.started.isEmpty)
    for _ in 0..<6 { loop.turn() }

    #expect(world.pollDeadlines[1] == world.now)
    #expect(world.started.map(\.request) == [.chunk(chunk(1, 50))])
  }

  @Test("news of the recorder count before answers of the same turn")
  func inboxFirst() throws {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = [world.restored(1, pending: [0..<1])]
    loop.turn()
    let transfer = try #require(world.started.first)

    world.inbox = [.reopened(chunk(1, 0))]
    world.reports = [.transferred(transfer.id, .stored(.first, digest(1), bytes: 1))]
    loop.turn()

    #expect(world.facts.isEmpty)
  }

  @Test("an idle loop sleeps until something happens")
  func idle() {
    let world = LoopWorld()
    var loop = world.makeLoop()

    loop.turn()
    loop.turn()

    #expect(world.pollDeadlines == [nil, nil])
  }

  @Test("more events than a turn takes are handled in order over several turns")
  func backlog() {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = (0..<10_000).map { .registered(session(Int64($0)), facts(session(Int64($0)))) }

    loop.turn()
    #expect(world.facts.count == 4_096)
    loop.turn()
    loop.turn()

    #expect(world.facts.count == 10_000)
    #expect(world.pollDeadlines == [nil, world.now, world.now])
  }

  @Test("stopping ends what is in flight and records the last news")
  func stop() throws {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = [world.restored(1, pending: [0..<1])]
    loop.turn()
    let transfer = try #require(world.started.first)
    world.inbox = [.sealed(chunk(1, 1), .first, bytes: 1)]

    let isRecorded = loop.stop()

    #expect(isRecorded)
    #expect(world.log.contains("cancel \(transfer.id.number)"))
    #expect(world.facts == [.sealed(chunk(1, 1), .first, bytes: 1)])
    #expect(world.started.count == 1)
  }
}

import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: periodic sync")
struct SchedulerRoundTests {
  /// Rounds of 15 minutes; the first one, which is the start, is over.
  private func betweenRounds() -> SchedulerHarness {
    var harness = SchedulerHarness {
      $0.syncEvery = .seconds(900)
      $0.parallel = 2
    }
    harness.tell(.timePassed)
    harness.pass(.seconds(3))
    return harness
  }

  @Test("what is there at the start is sent at once; what comes after the round waits for the next one")
  func firstRound() throws {
    var harness = SchedulerHarness { $0.syncEvery = .seconds(900) }
    let id = harness.restore(1, pending: [0..<2])
    #expect(starts(harness.effects).count == 1)
    for transfer in starts(harness.effects) { harness.store(transfer) }
    for transfer in starts(harness.effects) { harness.store(transfer) }
    #expect(harness.scheduler.deadline == Instant(nanoseconds: 3_000_000_000))
    #expect(harness.scheduler.summary.nextRound == nil)
    harness.pass(.seconds(3))
    #expect(harness.scheduler.summary.nextRound == Instant(nanoseconds: 900_000_000_000))
    #expect(harness.scheduler.deadline == nil)

    harness.tell(.sealed(ChunkID(id, 2), .first, bytes: 1))
    #expect(starts(harness.effects).isEmpty)
    #expect(harness.scheduler.deadline == Instant(nanoseconds: 900_000_000_000))
    harness.pass(.seconds(896))
    #expect(starts(harness.effects).isEmpty)
    harness.pass(.seconds(1))
    #expect(starts(harness.effects).map(\.request) == [.chunk(ChunkID(id, 2))])
  }

  @Test("a round sends all that there is, also what comes while it lasts, and ends when nothing is left")
  func roundDrains() throws {
    var harness = betweenRounds()
    let id = harness.restore(1, pending: [0..<3])
    harness.pass(.seconds(897))
    var sent = 0
    while let transfer = starts(harness.effects).first ?? harness.scheduler.inFlight.first.map({ Transfer(id: $0, request: .probe) }) {
      sent += 1
      if sent == 2 { harness.tell(.sealed(ChunkID(id, 3), .first, bytes: 1)) }
      harness.store(transfer)
    }
    #expect(sent == 4)

    harness.pass(.seconds(10))
    #expect(harness.scheduler.summary.nextRound == Instant(nanoseconds: 1_800_000_000_000))
  }

  @Test("rounds keep to their grid, and after an idle night the next one is still to come")
  func grid() throws {
    var harness = betweenRounds()
    harness.pass(.seconds(40_000))
    harness.restore(1, pending: [0..<1])
    #expect(starts(harness.effects).isEmpty)
    // 40,003 s are 44 rounds and a bit.
    #expect(harness.scheduler.deadline == Instant(nanoseconds: 45 * 900_000_000_000))
  }

  @Test("process-uploads sends now, and the next round comes when it would have")
  func now() throws {
    var harness = betweenRounds()
    harness.restore(1, pending: [0..<1])

    harness.tell(.control(.processUploads(nil, force: false)))
    harness.store(try #require(starts(harness.effects).first))
    harness.pass(.seconds(3))

    #expect(harness.scheduler.summary.nextRound == Instant(nanoseconds: 900_000_000_000))
  }

  @Test("a recording that is closed shortly before a round is finished in it, not in the next")
  func settling() throws {
    var harness = betweenRounds()
    let id = harness.restore(1, pending: [0..<1])
    harness.tell(.control(.processUploads(nil, force: false)))
    harness.store(try #require(starts(harness.effects).first))

    harness.pass(.seconds(2))
    harness.tell(.finished(id, size: 1))

    #expect(starts(harness.effects).map(\.request) == [.complete(id)])
  }

  @Test("between rounds nobody knocks; a round that finds nobody lasts until somebody answers")
  func offline() throws {
    var harness = betweenRounds()
    harness.restore(1, pending: [0..<1])
    harness.tell(.networkChanged)
    #expect(starts(harness.effects).isEmpty)
    harness.pass(.seconds(897))
    harness.end(try #require(starts(harness.effects).first), .unreachable("no route"))
    harness.end(try #require(starts(harness.effects).first), .unreachable("no route"))

    harness.pass(.seconds(10))
    let probe = try #require(starts(harness.effects).first)
    #expect(probe.request == .probe)
    harness.end(probe, .reachable)
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 0))])
  }

  @Test("a recording that rests after a failure is tried again in the same round; one that fails for good does not hold it open")
  func failing() throws {
    var harness = betweenRounds()
    harness.restore(1, pending: [0..<1])
    harness.pass(.seconds(897))
    for failure in 1...10 {
      harness.end(try #require(starts(harness.effects).first), .retryable("500", after: nil))
      if failure < 10 {
        #expect(harness.scheduler.summary.nextRound == nil)
        harness.pass(.seconds(60))
      }
    }
    harness.pass(.seconds(4))
    #expect(harness.scheduler.summary.nextRound != nil)

    // It waits for the next round now, like everything.
    harness.pass(.seconds(60))
    #expect(starts(harness.effects).isEmpty)
  }

  @Test("a destination that must first say what it takes is asked in the first round, and in every later one")
  func undiscovered() throws {
    var harness = SchedulerHarness {
      $0.syncEvery = .seconds(900)
      $0.geometry = .undiscovered
    }
    harness.restore(1, pending: [0..<1])
    harness.end(try #require(starts(harness.effects).first), .unreachable("no route"))
    harness.pass(.seconds(10))
    #expect(starts(harness.effects).map(\.request) == [.probe])
  }

  @Test("changing to continuous sends at once what waited, and back")
  func change() throws {
    var harness = betweenRounds()
    harness.restore(1, pending: [0..<1])
    var policy = UploadPolicy()
    policy.parallel = 2
    harness.tell(.control(.adopt(policy)))
    harness.store(try #require(starts(harness.effects).first))

    policy.syncEvery = .seconds(60)
    harness.tell(.control(.adopt(policy)))
    harness.pass(.seconds(3))
    #expect(harness.scheduler.summary.nextRound == Instant(nanoseconds: 63_000_000_000))
  }

  @Test("changed settings hold at once, and a limit set by hand stays unless the limit is what changed")
  func adopt() throws {
    var harness = SchedulerHarness { $0.parallel = 4 }
    harness.warmUp()
    harness.tell(.control(.limit(bytesPerSecond: 1 << 20)))
    var policy = UploadPolicy()
    policy.parallel = 1
    harness.tell(.control(.adopt(policy)))
    #expect(harness.scheduler.summary.bytesPerSecondMax == 1 << 20)

    policy.bytesPerSecondMax = 2 << 20
    harness.tell(.control(.adopt(policy)))
    #expect(harness.scheduler.summary.bytesPerSecondMax == 2 << 20)
    harness.restore(1, pending: [0..<3])
    #expect(harness.scheduler.inFlight.count == 1)
  }

  @Test("a metered connection pauses everything, and is no pause that outlives a restart; resume overrides it")
  func metered() throws {
    var harness = SchedulerHarness()
    harness.tell(.control(.metered(true)))
    #expect(records(harness.effects).isEmpty)
    #expect(notices(harness.effects) == [.uploadPaused("the connection is metered")])
    harness.restore(1, pending: [0..<1])
    #expect(starts(harness.effects).isEmpty)
    #expect(harness.scheduler.summary.isOnMeter)

    harness.tell(.control(.resumeAll))
    #expect(notices(harness.effects) == [.uploadResumed])
    #expect(starts(harness.effects).count == 1)
    harness.tell(.control(.metered(false)))
    #expect(harness.effects.isEmpty)
  }
}

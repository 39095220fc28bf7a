import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: connection")
struct SchedulerConnectionTests {
  /// Four requests in flight of 50 sessions, one of which found nobody.
  private func suspicious() -> (SchedulerHarness, [Transfer], Transfer) {
    var harness = SchedulerHarness()
    harness.warmUp()
    for number in 1...50 { harness.restore(Int64(number), pending: [0..<10]) }
    var transfers: [Transfer] = []
    harness.tell(.control(.processUploads(nil, force: true)))
    transfers = starts(harness.effects)
    let first = transfers.removeFirst()
    harness.end(first, .unreachable("refused"))
    return (harness, transfers, starts(harness.effects).first ?? first)
  }

  @Test("one request that finds nobody starts one probe and stops everything else")
  func suspect() {
    let (harness, _, probe) = suspicious()

    #expect(starts(harness.effects).map(\.request) == [.probe])
    #expect(probe.request == .probe)
    #expect(harness.scheduler.summary.connection == .online)
  }

  @Test("however many requests fail, there is one probe at a time, every five seconds, give or take half")
  func noHerd() throws {
    var (harness, transfers, probe) = suspicious()
    for transfer in transfers { #expect(starts(harness.end(transfer, .unreachable("refused"))).isEmpty) }
    harness.end(probe, .unreachable("refused"))
    #expect(notices(harness.effects) == [.connectionLost("refused")])
    #expect(harness.scheduler.summary.connection == .offline("refused"))

    var waits: Set<Int64> = []
    for _ in 0..<20 {
      harness.pass(.milliseconds(2_499))
      #expect(starts(harness.effects).isEmpty)
      let waiting = harness.now
      // Rests of single sessions end before it, and start nothing.
      while starts(harness.effects).isEmpty, harness.now - waiting <= .milliseconds(5_001) {
        harness.pass(try #require(harness.scheduler.deadline) - harness.now)
      }
      waits.insert((harness.now - waiting).nanoseconds)
      #expect(harness.now - waiting <= .milliseconds(5_001))
      let probe = try #require(starts(harness.effects).first)
      #expect(starts(harness.effects).map(\.request) == [.probe])
      harness.pass(.seconds(10))
      #expect(starts(harness.effects).isEmpty)
      harness.end(probe, .unreachable("refused"))
      #expect(notices(harness.effects).isEmpty)
    }
    #expect(waits.count == 20, "two machines with other seeds must not knock in step")
  }

  @Test("after an outage one request, then two, then four")
  func ramp() throws {
    var (harness, transfers, probe) = suspicious()
    for transfer in transfers { harness.end(transfer, .unreachable("refused")) }
    harness.end(probe, .unreachable("refused"))
    harness.pass(.milliseconds(7_500))
    var waiting = starts(harness.end(try #require(starts(harness.effects).first), .reachable))
    var inFlight: [Int] = []

    for _ in 0..<3 {
      inFlight.append(waiting.count)
      var next: [Transfer] = []
      for transfer in waiting { next += starts(harness.store(transfer)) }
      waiting = next
    }

    #expect(inFlight == [1, 2, 4])
  }

  @Test("a destination that is back is met by one request, not by a herd, and without delays")
  func back() throws {
    var (harness, transfers, probe) = suspicious()
    for transfer in transfers { harness.end(transfer, .unreachable("refused")) }
    harness.end(probe, .unreachable("refused"))
    harness.pass(.milliseconds(7_500))
    let next = try #require(starts(harness.effects).first)

    harness.end(next, .reachable)

    #expect(notices(harness.effects) == [.connectionRestored])
    #expect(starts(harness.effects).count == 1)
    #expect((1...50).allSatisfy { harness.scheduler.retryMoment(of: session($0)) == nil })
    #expect(harness.scheduler.summary.troubled.isEmpty)
  }

  @Test("a session that is reset again and again while probes succeed rests longer and longer")
  func poison() {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    var requests = 0
    var waiting = starts(harness.effects)

    for _ in 0..<3_600 {
      while let transfer = waiting.popLast() {
        requests += 1
        let outcome: TransferOutcome = transfer.request == .probe ? .reachable : .unreachable("reset")
        waiting += starts(harness.end(transfer, outcome))
      }
      waiting += starts(harness.pass(.seconds(1)))
    }

    #expect(requests < 2 * (3_600 / 30))
    #expect(requests > 2 * (3_600 / 70))
  }

  @Test("a route that comes up is a reason to look at once")
  func networkChanged() throws {
    var (harness, _, probe) = suspicious()
    harness.pass(.seconds(1))
    harness.end(probe, .unreachable("no route"))
    #expect(starts(harness.effects).isEmpty)

    harness.tell(.networkChanged)

    #expect(starts(harness.effects).map(\.request) == [.probe])
  }

  @Test("a storm of network changes is one probe a second")
  func networkStorm() {
    var (harness, _, probe) = suspicious()
    harness.end(probe, .unreachable("no route"))
    var probes = 0

    for _ in 0..<1_000 {
      harness.now = harness.now + .milliseconds(10)
      harness.tell(.networkChanged)
      for probe in starts(harness.effects) {
        probes += 1
        harness.end(probe, .unreachable("no route"))
      }
    }

    #expect((9...11).contains(probes))
  }

  @Test("a probe without an answer is given up after fifteen seconds")
  func probeStall() throws {
    var (harness, _, probe) = suspicious()

    harness.pass(.milliseconds(14_999))
    #expect(cancels(harness.effects).isEmpty)
    harness.pass(.milliseconds(1))

    // And so are the chunks that were in flight: answers used to come at once.
    #expect(cancels(harness.effects).last == probe.id)
    guard case .offline = harness.scheduler.summary.connection else {
      Issue.record("still \(harness.scheduler.summary.connection)")
      return
    }
  }

  @Test("credentials that are refused pause the whole destination, and a person's word looks again at once")
  func blocked() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<9])
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .blocked(.credentials, "401"))
    #expect(notices(harness.effects) == [.uploadPaused("401")])
    #expect(harness.scheduler.summary.connection == .blocked(.credentials, "401"))
    harness.pass(.seconds(59))
    #expect(starts(harness.effects).isEmpty)
    harness.pass(.seconds(1))
    let probe = try #require(starts(harness.effects).first)
    harness.end(probe, .blocked(.credentials, "401"))
    #expect(notices(harness.effects).isEmpty)
    harness.pass(.seconds(5))
    harness.tell(.control(.processUploads(nil, force: false)))
    let again = try #require(starts(harness.effects).first)
    harness.end(again, .reachable)

    #expect(again.request == .probe)
    #expect(notices(harness.effects) == [.uploadResumed])
    #expect(starts(harness.effects).map(\.request) == [transfer.request])
  }

  @Test("a full destination is tried with one request every longest delay, which is news only when it takes something")
  func full() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<9])
    var transfer = try #require(starts(harness.effects).first)
    harness.end(transfer, .blocked(.full, "507"))
    #expect(notices(harness.effects) == [.uploadPaused("507")])

    for _ in 0..<3 {
      harness.pass(.seconds(59))
      #expect(starts(harness.effects).isEmpty)
      harness.pass(.seconds(1))
      let probe = try #require(starts(harness.effects).first)
      harness.end(probe, .reachable)
      #expect(notices(harness.effects).isEmpty)
      #expect(harness.scheduler.summary.connection == .blocked(.full, "507"))
      #expect(starts(harness.effects).count == 1)
      transfer = try #require(starts(harness.effects).first)
      harness.end(transfer, .blocked(.full, "507"))
      #expect(notices(harness.effects).isEmpty)
    }

    harness.pass(.seconds(60))
    harness.end(try #require(starts(harness.effects).first), .reachable)
    harness.store(try #require(starts(harness.effects).first))
    #expect(notices(harness.effects).contains(.uploadResumed))
    #expect(harness.scheduler.summary.connection == .online)
  }

  @Test("work that was refused with the whole destination is not the session's failure")
  func blockedIsNobodysFailure() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .blocked(.full, "507"))

    #expect(harness.scheduler.failures(of: id) == 0)
    #expect(harness.scheduler.pending(of: id)?.ranges == [0..<1])
  }
}

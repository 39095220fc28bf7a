import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: failures and delays")
struct SchedulerRetryTests {
  @Test("a passing fault delays its session and nobody else")
  func faultsAreTheSessionsOwn() throws {
    var harness = SchedulerHarness { $0.parallel = 1 }
    let id = harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)
    harness.restore(2, pending: [0..<1])

    harness.end(transfer, .retryable("500", after: nil))

    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(2, 0))])
    let moment = try #require(harness.scheduler.retryMoment(of: id))
    #expect(moment >= harness.now + .seconds(2) && moment <= harness.now + .seconds(4))
    #expect(harness.scheduler.summary.troubled == [id: "500"])
  }

  @Test("delays grow to the longest and never end in giving up")
  func neverGivingUp() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1])

    for attempt in 1...40 {
      let transfer = try #require(starts(harness.effects).first)
      harness.end(transfer, .retryable("500", after: nil))
      let delay = try #require(harness.scheduler.retryMoment(of: id)) - harness.now
      #expect(delay >= .seconds(2) && delay <= .seconds(60))
      if attempt >= 10 { #expect(delay == .seconds(60)) }
      harness.now = try #require(harness.scheduler.deadline)
      harness.tell(.timePassed)
    }
  }

  @Test("a success resets the count of failures")
  func successResets() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<2])
    for _ in 0..<12 {
      let transfer = try #require(starts(harness.effects).first)
      harness.end(transfer, .retryable("500", after: nil))
      harness.pass(.seconds(60))
    }
    let transfer = try #require(starts(harness.effects).first)
    #expect(harness.scheduler.failures(of: id) == 12)

    harness.store(transfer)

    #expect(harness.scheduler.failures(of: id) == 0)
    #expect(harness.scheduler.summary.troubled.isEmpty)
    let next = try #require(starts(harness.effects).first)
    harness.end(next, .retryable("500", after: nil))
    let moment = try #require(harness.scheduler.retryMoment(of: id))
    #expect(moment <= harness.now + .seconds(4))
  }

  @Test("requests that were in flight together and fail together count as one failure")
  func burstCountsOnce() {
    var harness = SchedulerHarness()
    harness.warmUp()
    let id = harness.restore(1, pending: [0..<4])

    for transfer in starts(harness.effects) { harness.end(transfer, .retryable("500", after: nil)) }

    #expect(harness.scheduler.failures(of: id) == 1)
  }

  @Test("an attempt that moves no byte for the timeout is cancelled and its chunk waits again")
  func stall() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)
    harness.now = harness.now + .seconds(59)
    harness.tell(.progressed(transfer.id, bytes: 1))
    harness.pass(.seconds(59))
    #expect(cancels(harness.effects).isEmpty)

    harness.pass(.seconds(1))

    #expect(cancels(harness.effects) == [transfer.id])
    #expect(harness.scheduler.pending(of: id)?.ranges == [0..<1])
    #expect(harness.store(transfer).isEmpty)
  }

  @Test("Retry-After holds for the whole destination, up to its cap, and a little longer by chance", arguments: [5, 7_200])
  func retryAfter(seconds: Int64) throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)
    harness.restore(2, pending: [0..<1])

    harness.end(transfer, .throttled("429", after: .seconds(seconds)))
    #expect(starts(harness.effects).isEmpty)
    harness.pass(.seconds(min(seconds, 3_600)) - .seconds(1))
    #expect(starts(harness.effects).isEmpty)
    harness.pass(.milliseconds(seconds > 3_600 ? 1_000 : 1_000 + seconds * 500))

    #expect(starts(harness.effects).count == 1)
  }

  @Test("machines that were asked to wait together come back one after the other")
  func retryAfterSpreads() throws {
    let moments = try (1...100).map { seed in
      var harness = SchedulerHarness(seed: UInt64(seed))
      harness.restore(1, pending: [0..<1])
      let transfer = try #require(starts(harness.effects).first)
      harness.restore(2, pending: [0..<1])
      harness.end(transfer, .throttled("429", after: .seconds(60)))
      // The refused session's own rest, a moment that starts nothing, is over sooner.
      while starts(harness.effects).isEmpty, harness.now - Instant(nanoseconds: 0) <= .seconds(90) {
        harness.pass(try #require(harness.scheduler.deadline) - harness.now)
      }
      return harness.now
    }

    #expect(Set(moments).count == 100)
    #expect(moments.allSatisfy { .seconds(60) <= $0 - Instant(nanoseconds: 0) && $0 - Instant(nanoseconds: 0) <= .seconds(90) })
  }

  @Test("many sessions failing in a row rest together")
  func destinationRests() {
    var harness = SchedulerHarness()
    for number in 0..<1_000 { harness.restore(Int64(number), pending: [0..<1]) }
    var requests = 0
    var waiting = starts(harness.effects)
    harness.tell(.control(.processUploads(nil, force: true)))
    waiting = starts(harness.effects)

    for _ in 0..<3_600 {
      while let transfer = waiting.popLast() {
        requests += 1
        waiting += starts(harness.end(transfer, .retryable("500", after: nil)))
      }
      waiting += starts(harness.pass(.seconds(1)))
    }

    #expect(requests < 200)
  }

  @Test("damaged bytes are read and sent again, and at the third time in a row the session fails")
  func corrupted() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1])
    for _ in 0..<2 {
      let transfer = try #require(starts(harness.effects).first)
      harness.end(transfer, .corrupted("digest"))
      #expect(records(harness.effects).isEmpty)
      harness.pass(.seconds(60))
    }
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .corrupted("digest"))

    #expect(records(harness.effects) == [.failed(id, "digest")])
    #expect(notices(harness.effects) == [.uploadError(id, index: 0, "digest")])
    #expect(harness.scheduler.deadline == nil)
  }

  @Test("a refused session fails with the server's words, the others go on")
  func rejected() throws {
    var harness = SchedulerHarness { $0.parallel = 1 }
    let id = harness.restore(1, pending: [0..<2])
    let transfer = try #require(starts(harness.effects).first)
    harness.restore(2, pending: [0..<1])

    harness.end(transfer, .rejected("413 too large"))

    #expect(records(harness.effects) == [.failed(id, "413 too large")])
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(2, 0))])
  }

  @Test("a failed session gets another chance when it changes, is released, or by force", arguments: 0..<3)
  func secondChance(way: Int) throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<2])
    let transfer = try #require(starts(harness.effects).first)
    harness.end(transfer, .rejected("no"))
    harness.tell(.control(.processUploads(nil, force: false)))
    #expect(starts(harness.effects).isEmpty)

    switch way {
    case 0: harness.tell(.reopened(chunk(1, 0)))
    case 1: harness.tell(.control(.release(id)))
    default: harness.tell(.control(.processUploads(nil, force: true)))
    }

    #expect(records(harness.effects) == [.failureCleared(id)])
    #expect(starts(harness.effects).count == 1)
  }

  @Test("the list of troubled sessions is bounded")
  func troubledIsBounded() {
    var harness = SchedulerHarness { $0.parallel = 2_000 }
    var waiting: [Transfer] = []
    for number in 0..<1_500 {
      harness.restore(Int64(number), pending: [0..<1])
      harness.tell(.control(.processUploads(nil, force: false)))
      waiting += starts(harness.effects)
      for transfer in waiting { harness.end(transfer, .unreadable("EIO")) }
      waiting = starts(harness.effects)
    }

    #expect(harness.scheduler.summary.troubled.count <= 1_000)
  }

  @Test("a chunk that the spool cannot read is tried again later, and people are told once")
  func unreadable() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .unreadable("EIO"))
    #expect(notices(harness.effects) == [.uploadError(id, index: nil, "EIO")])
    harness.pass(.seconds(4))
    let again = try #require(starts(harness.effects).first)
    harness.end(again, .unreadable("EIO"))

    #expect(notices(harness.effects).isEmpty)
  }
}

import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: commands")
struct SchedulerControlTests {
  @Test("paused: nothing starts, not even a probe; resumed: it goes on")
  func pause() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<3])
    let transfer = try #require(starts(harness.effects).first)

    harness.tell(.control(.pauseAll))
    #expect(records(harness.effects) == [.pausedByUser(true)])
    #expect(notices(harness.effects).count == 1)
    harness.tell(.control(.pauseAll))
    #expect(harness.effects.isEmpty)
    harness.store(transfer)
    #expect(starts(harness.effects).isEmpty)
    harness.tell(.networkChanged)
    #expect(starts(harness.effects).isEmpty)
    #expect(harness.scheduler.summary.isPausedByUser)
    harness.tell(.control(.resumeAll))

    #expect(records(harness.effects) == [.pausedByUser(false)])
    #expect(notices(harness.effects) == [.uploadResumed])
    #expect(starts(harness.effects).count == 2)
  }

  @Test("a held session waits, the others go on")
  func hold() throws {
    var harness = SchedulerHarness()
    harness.tell(.control(.pauseAll))
    let id = harness.restore(1, pending: [0..<1])
    harness.restore(2, pending: [0..<1])
    harness.tell(.control(.hold(id)))
    #expect(records(harness.effects) == [.held(id, true)])

    harness.tell(.control(.resumeAll))
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(2, 0))])
    harness.store(try #require(starts(harness.effects).first))
    #expect(starts(harness.effects).isEmpty)
    harness.tell(.control(.release(id)))

    #expect(records(harness.effects) == [.held(id, false)])
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 0))])
  }

  @Test("a changed priority counts for what waits already")
  func prioritize() throws {
    var harness = SchedulerHarness { $0.parallel = 1 }
    harness.tell(.control(.pauseAll))
    harness.restore(1, pending: [0..<1])
    let id = harness.restore(2, pending: [0..<1])

    harness.tell(.control(.prioritize(id, .high)))
    #expect(records(harness.effects) == [.prioritized(id, .high)])
    harness.tell(.control(.resumeAll))

    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(2, 0))])
  }

  @Test("process-uploads forgets delays")
  func processUploads() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    harness.end(try #require(starts(harness.effects).first), .throttled("429", after: .seconds(600)))

    harness.tell(.control(.processUploads(nil, force: false)))

    #expect(starts(harness.effects).count == 1)
  }

  @Test("process-uploads force frees the leases of what is in flight and sends it anew")
  func processUploadsForce() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.tell(.control(.processUploads(nil, force: true)))

    #expect(cancels(harness.effects) == [transfer.id])
    #expect(starts(harness.effects).map(\.request) == [transfer.request])
    #expect(harness.store(transfer).isEmpty)
  }

  @Test("force for one session leaves the others in flight")
  func forceOne() throws {
    var harness = SchedulerHarness()
    harness.warmUp()
    harness.restore(1, pending: [0..<1])
    harness.restore(2, pending: [0..<1])

    harness.tell(.control(.processUploads(session(2), force: true)))

    #expect(cancels(harness.effects).count == 1)
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(2, 0))])
  }
}

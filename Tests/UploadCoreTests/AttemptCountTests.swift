import Testing
import UploadCore
import UploadProtocol

@Suite("Counting attempts")
struct AttemptCountTests {
  @Test("each ended request counts once, with its time, its bytes, and whether it was a retry")
  func attempts() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    let first = try #require(starts(harness.effects).first)
    harness.pass(.seconds(1))
    harness.end(first, .retryable("500", after: nil))
    harness.pass(.seconds(60))
    let second = try #require(starts(harness.effects).first)
    harness.pass(.seconds(3))
    harness.store(second)
    harness.store(second)

    #expect(
      harness.scheduler.takeAttempts() == [
        UploadAttempt(
          session: session(1), ending: .failed, chunks: 1, bytes: 0, duration: .seconds(1), failuresBefore: 0, message: "500"),
        UploadAttempt(
          session: session(1), ending: .stored, chunks: 1, bytes: ChunkLayout.chunkBytes, duration: .seconds(3),
          failuresBefore: 1, message: nil),
      ])
    #expect(harness.scheduler.takeAttempts().isEmpty)
  }

  @Test("a stalled request counts as stalled, a forced one as cancelled, and probes count as nothing")
  func endings() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    harness.pass(.seconds(60))
    #expect(harness.scheduler.takeAttempts().map(\.ending) == [.stalled])
    harness.end(try #require(starts(harness.effects).first), .reachable)
    if harness.scheduler.inFlight.isEmpty { harness.pass(.seconds(60)) }
    harness.tell(.control(.processUploads(nil, force: true)))

    #expect(harness.scheduler.takeAttempts().map(\.ending) == [.cancelled])
  }

  @Test("attempts are recorded with the next facts, without a transaction of their own")
  func withFacts() throws {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = [world.restored(1, pending: [0..<1])]
    loop.turn()
    let transfer = try #require(world.started.first)
    world.reports = [.transferred(transfer.id, .retryable("500", after: nil))]
    loop.turn()
    #expect(world.attempts.isEmpty && !world.log.contains("record"))
    #expect(world.published.map(\.ending) == [.failed])

    world.inbox = [.opened(session(1))]
    loop.turn()

    #expect(world.attempts.map(\.ending) == [.failed])
    #expect(world.log.filter { $0 == "record" }.count == 1)
  }

  @Test("attempts without facts are recorded a minute later, and at the end")
  func alone() throws {
    let world = LoopWorld()
    var loop = world.makeLoop()
    world.inbox = [world.restored(1, pending: [0..<1])]
    loop.turn()
    world.reports = [.transferred(try #require(world.started.last).id, .retryable("500", after: nil))]
    loop.turn()
    world.now = world.now + .seconds(60)
    loop.turn()
    #expect(world.attempts.count == 1)

    world.reports = [.transferred(try #require(world.started.last).id, .retryable("500", after: nil))]
    loop.turn()
    #expect(world.attempts.count == 1)
    loop.stop()
    #expect(world.attempts.count == 2)
  }

  @Test("durations fall into the bucket that holds them, and the sum is theirs")
  func histogram() {
    let histogram = DurationHistogram(bounds: [.milliseconds(1), .seconds(1)])
    for span in [Span.zero, .milliseconds(1), .milliseconds(2), .seconds(5)] { histogram.add(span) }
    #expect(histogram.snapshot.counts == [2, 1, 1])
    #expect(histogram.snapshot.sum == .milliseconds(5_003))
    #expect(DurationHistogram.ofCalls().bounds.count < DurationHistogram.bucketsMax)
    #expect(DurationHistogram.ofUploads().bounds.count < DurationHistogram.bucketsMax)
  }
}

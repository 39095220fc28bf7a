import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: window and stall timeout")
struct SchedulerWindowTests {
  @Test("a failure halves the window once a burst, and then it grows by one at a time")
  func halving() throws {
    var harness = SchedulerHarness { $0.parallel = 8 }
    harness.warmUp()
    #expect(harness.scheduler.summary.window == 8)
    let id = harness.restore(1, pending: [0..<8])
    for transfer in starts(harness.effects) { harness.end(transfer, .retryable("500", after: nil)) }
    #expect(harness.scheduler.summary.window == 4)

    harness.tell(.control(.processUploads(id, force: false)))
    var windows: [Int] = []
    var waiting = starts(harness.effects)
    while let transfer = waiting.popLast() {
      waiting += starts(harness.store(transfer))
      windows.append(harness.scheduler.summary.window)
    }
    #expect(windows == [4, 4, 4, 5, 5, 5, 5, 5])
  }

  @Test("before anything is known, silence is borne for the configured time")
  func unknown() {
    let harness = SchedulerHarness()
    #expect(harness.scheduler.summary.stallTimeout == .seconds(60))
  }

  @Test(
    "once answers are known to come quickly, silence is borne for 15 s, or four times the longest",
    arguments: [(1, 15), (6_000, 24), (50_000, 60)] as [(Int64, Int64)])
  func known(milliseconds: Int64, seconds: Int64) throws {
    var harness = SchedulerHarness()
    try storeSome(&harness, taking: .milliseconds(milliseconds))
    #expect(harness.scheduler.summary.stallTimeout == .seconds(seconds))
  }

  @Test("a chunk that was given up early is given all of the configured time next")
  func givenUp() throws {
    var harness = SchedulerHarness()
    try storeSome(&harness, taking: .milliseconds(10))
    harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    #expect(cancels(harness.pass(.milliseconds(14_999))).isEmpty)
    #expect(cancels(harness.pass(.milliseconds(1))) == [transfer.id])

    harness.end(try #require(starts(harness.effects).first), .reachable)
    harness.pass(.seconds(4))
    let again = try #require(starts(harness.effects).first)
    #expect(again.request == transfer.request)
    #expect(cancels(harness.pass(.milliseconds(59_999))).isEmpty)
    harness.store(again)
    #expect(harness.scheduler.summary.stallTimeout == .seconds(60))
  }

  @Test("completing is never given up before the configured time")
  func completing() throws {
    var harness = SchedulerHarness()
    try storeSome(&harness, taking: .milliseconds(10))
    harness.restore(1, pending: [], isFinished: true)
    #expect(starts(harness.effects).map(\.request) == [.complete(session(1))])

    #expect(cancels(harness.pass(.milliseconds(59_999))).isEmpty)
    #expect(cancels(harness.pass(.milliseconds(1))).count == 1)
  }

  @Test("what was known is forgotten after twenty minutes")
  func forgotten() throws {
    var harness = SchedulerHarness()
    try storeSome(&harness, taking: .milliseconds(10))
    harness.pass(.seconds(599))
    #expect(harness.scheduler.summary.stallTimeout == .seconds(15))
    harness.pass(.seconds(601))
    #expect(harness.scheduler.summary.stallTimeout == .seconds(60))
  }

  @Test("under a low limit, the pauses between writes are no silence")
  func limited() throws {
    var harness = SchedulerHarness()
    try storeSome(&harness, taking: .milliseconds(10))
    harness.tell(.control(.limit(bytesPerSecond: 16 << 10)))
    #expect(harness.scheduler.summary.stallTimeout == .seconds(23))
  }

  @Test("the stall timeout is never longer than --upload-timeout")
  func short() throws {
    var harness = SchedulerHarness { $0.uploadTimeout = .seconds(5) }
    try storeSome(&harness, taking: .seconds(2))
    #expect(harness.scheduler.summary.stallTimeout == .seconds(5))
  }

  /// Eight chunks, one after the other.
  private func storeSome(_ harness: inout SchedulerHarness, taking time: Span) throws {
    for number in 100..<108 {
      harness.restore(Int64(number), pending: [0..<1])
      let transfer = try #require(starts(harness.effects).first)
      harness.now = harness.now + time
      harness.store(transfer)
      harness.tell(.removed(session(Int64(number))))
    }
  }
}

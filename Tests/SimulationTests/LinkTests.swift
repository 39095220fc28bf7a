import Testing
import UploadCore
import UploadSimulator

/// What docs/SCALING.md promises of links: half an hour or more of a machine that has more to send than the link carries.
@Suite("A machine and its link")
struct LinkTests {
  @Test("on 1 Mbit/s nothing is given up, the link is full, and chunks go one after the other", arguments: [4, 16])
  func thin(parallel: Int) {
    let report = run { $0.parallel = parallel }

    #expect(report.stalled == 0, "\(report)")
    #expect(report.share >= 0.98, "\(report)")
    // One alone takes 8.4 s; four at once would take 34 s each.
    #expect(report.window == 1 && report.meanTime < .seconds(10), "\(report)")
  }

  @Test("on 160 kbit/s, where a chunk takes a minute, nothing is given up")
  func verySlow() {
    let report = run {
      $0.bytesPerSecond = 20_000
      $0.length = .seconds(7_200)
    }
    #expect(report.stalled == 0 && report.share >= 0.98, "\(report)")
  }

  @Test("on a link that is reset every 20 s or 40 s more arrives than is lost", arguments: [20, 40])
  func breaking(seconds: Int64) {
    let report = run { $0.resetsEvery = .seconds(seconds) }
    #expect(report.wasted <= 0.3, "\(report)")
    // At best 2 of 2.3, and 4 of 4.7.
    #expect(report.share >= 0.6, "\(report)")
  }

  @Test(
    "where each connection is slow by itself, there are as many as may be: nine tenths of what they carry",
    arguments: [4, 16])
  func slowConnections(parallel: Int) {
    let report = run {
      $0.bytesPerSecond = 10_000_000
      $0.bytesPerSecondOfOne = 100_000
      $0.parallel = parallel
      $0.length = .seconds(7_200)
    }
    #expect(report.window == parallel, "\(report)")
    #expect(report.share >= 0.92, "\(report)")
    #expect(report.stalled == 0, "\(report)")
  }

  /// The fixed setting is a window that doubles with each of the first successes and then stays: what a link without faults
  /// gets that carries a chunk within 4 s.
  @Test(
    "on a good link there are as many as may be after a few requests, and it stays so",
    arguments: [(125_000_000, 1, 4, 3), (12_500_000, 200, 16, 11), (1_250_000, 50, 4, 3)])
  func good(bytesPerSecond: Int, roundTrip: Int64, parallel: Int, requests: Int) {
    let report = run {
      $0.bytesPerSecond = bytesPerSecond
      $0.roundTrip = .milliseconds(roundTrip)
      $0.parallel = parallel
      $0.length = .seconds(120)
    }
    #expect(report.window == parallel && report.stalled == 0, "\(report)")
    #expect(report.chunksUntilFull == requests, "\(report)")
  }

  @Test("a connection that is lost without a word is noticed within 15 s where answers come within 50 ms", arguments: [50, 500])
  func hole(every: Int) {
    let report = run {
      $0.bytesPerSecond = 1_250_000
      $0.lostEvery = every
    }
    #expect(report.stalled > 0 && report.noticedAfter < .milliseconds(15_001), "\(report)")
    #expect(report.stalledWrongly == 0 && report.share >= 0.96, "\(report)")
  }

  @Test("before anything is known, it is given --upload-timeout")
  func unknown() {
    let report = run {
      $0.lostFrom = .zero
      $0.length = .seconds(100)
    }
    #expect(report.stalled > 0 && report.noticedAfter >= .seconds(60), "\(report)")
  }

  @Test("a receiver that sometimes syncs for 50 s is cut off a few times, and then given its time")
  func lateSometimes() {
    let report = run {
      $0.bytesPerSecond = 1_250_000
      $0.lateEvery = 7
      $0.lateTime = .seconds(50)
      $0.length = .seconds(7_200)
    }
    #expect(report.stalledWrongly <= 2 * 4, "\(report)")
    #expect(report.stallTimeout == .seconds(60), "\(report)")
  }

  @Test("a receiver that always answers late, within --upload-timeout, is never cut off", arguments: [20, 59])
  func lateAlways(seconds: Int64) {
    let report = run {
      $0.lateEvery = 1
      $0.lateTime = .seconds(seconds)
    }
    #expect(report.stalled == 0 && report.chunks > 0, "\(report)")
  }

  @Test("a receiver that becomes late cuts no chunk off twice: all arrive", arguments: [20, 59])
  func becomesLate(seconds: Int64) {
    let report = run {
      $0.bytesPerSecond = 1_250_000
      $0.lateFrom = .seconds(300)
      $0.lateTime = .seconds(seconds)
    }
    #expect(report.stalledWrongly <= 4, "\(report)")
    #expect(report.chunksLate >= 20, "\(report)")
  }

  private func run(_ change: (inout Link.Setup) -> Void) -> Link.Report {
    var setup = Link.Setup()
    change(&setup)
    return Link.run(setup)
  }
}

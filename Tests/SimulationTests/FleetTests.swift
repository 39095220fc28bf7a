import Testing
import UploadCore
import UploadSimulator

@Suite("A fleet and one receiver")
struct FleetTests {
  /// A tenth of what docs/SCALING.md tells of, in the same proportions: a debug build takes a second for it.
  private var setup: Fleet.Setup {
    var setup = Fleet.Setup()
    setup.clients = 500
    setup.capacity = 100
    setup.outage = .seconds(60)
    setup.calm = .seconds(20)
    return setup
  }

  @Test("after an outage the machines come neither all at once nor in vain, and all catch up")
  func outage() {
    var setup = setup
    setup.waitingMax = nil
    let report = Fleet.run(setup)

    #expect(report.peakProbesPerSecond <= setup.clients * 3 / 10, "\(report)")
    #expect(report.futileShare <= 0.1, "\(report)")
    #expect(report.drained.isFinite && report.everybodyServed.isFinite, "\(report)")
  }

  @Test("a receiver that refuses what it cannot hold is asked in vain once in ten requests at most")
  func shedding() {
    var setup = Fleet.Setup()
    setup.clients = 2_000
    setup.capacity = 400
    let report = Fleet.run(setup)

    #expect(report.futileShare <= 0.1, "\(report)")
    // 300 s of backlog at twice the rate: 300 s at best.
    #expect(report.drained <= 1.2 * 300, "\(report)")
    #expect(report.everybodyServed <= 150 && report.fairness >= 0.75, "\(report)")
  }

  @Test("a small fleet after a short outage asks hardly more often in vain")
  func sheddingBriefly() {
    let report = Fleet.run(setup)

    #expect(report.futileShare <= 0.12, "\(report)")
    #expect(report.drained <= 150 && report.everybodyServed <= 60, "\(report)")
  }

  @Test("a receiver that is restarted within seconds is not met by everybody in the same second")
  func restart() {
    var setup = setup
    setup.outage = .seconds(10)
    let report = Fleet.run(setup)

    #expect(report.peakProbesPerSecond <= setup.clients * 4 / 10, "\(report)")
    #expect(report.drained.isFinite, "\(report)")
  }

  @Test("the same setup gives the same report")
  func deterministic() {
    var setup = setup
    setup.clients = 50
    setup.capacity = 10
    #expect(Fleet.run(setup) == Fleet.run(setup))
  }
}

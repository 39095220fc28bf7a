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

  @Test("a receiver that refuses what it cannot hold is asked in vain less often than it stores")
  func shedding() {
    let report = Fleet.run(setup)

    // Not the goal of a tenth: docs/SCALING.md says why.
    #expect(report.futileShare <= 0.4, "\(report)")
    #expect(report.drained.isFinite && report.everybodyServed.isFinite, "\(report)")
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

import Testing
import UploadSimulator

@Suite("Simulation")
struct SimulationTests {
  @Test("every invariant holds over 500 seeds of faults", arguments: 0..<10)
  func invariantsHold(block: UInt64) {
    for seed in block * 50..<block * 50 + 50 {
      let report = Simulation.run(seed: seed)
      #expect(report.violation == nil, "seed \(seed)")
    }
  }

  @Test("the same seed gives the same trace, another seed another one")
  func sameSeedSameTrace() {
    #expect(Simulation.run(seed: 42).digest == Simulation.run(seed: 42, isTraced: true).digest)
    #expect(Simulation.run(seed: 42).digest != Simulation.run(seed: 43).digest)
  }

  /// Each of them broke an invariant once: an unfair simulation or a wrong scheduler.
  @Test("seeds that found something once stay fixed", arguments: [1_743, 5_015, 8_186, 13_884] as [UInt64])
  func regression(seed: UInt64) {
    #expect(Simulation.run(seed: seed).violation == nil)
  }
}

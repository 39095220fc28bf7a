import Testing
import UploadSimulator

@Suite("Simulation")
struct SimulationTests {
  /// An unoptimized simulation is thirty times slower.
  #if DEBUG
    static let blockSize: UInt64 = 12
  #else
    static let blockSize: UInt64 = 500
  #endif

  @Test("every invariant holds over 20,000 seeds of faults", arguments: 0..<40 as Range<UInt64>)
  func invariantsHold(block: UInt64) {
    for seed in block * Self.blockSize..<(block + 1) * Self.blockSize {
      let violation = Simulation.run(seed: seed).violation
      #expect(violation == nil, "seed \(seed)")
      if violation != nil { return }
    }
  }

  @Test("the same seed gives the same trace, another seed another one")
  func sameSeedSameTrace() {
    #expect(Simulation.run(seed: 42).digest == Simulation.run(seed: 42, isTraced: true).digest)
    #expect(Simulation.run(seed: 42).digest != Simulation.run(seed: 43).digest)
  }

  /// Each of them broke an invariant once: an unfair simulation or a wrong core.
  @Test("seeds that found something once stay fixed", arguments: [113, 1_596, 2_317, 3_173, 20_095, 25_675] as [UInt64])
  func regression(seed: UInt64) {
    #expect(Simulation.run(seed: seed).violation == nil)
  }
}

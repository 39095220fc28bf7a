import Synchronization
import UploadSimulator

/// The seeds of one run, handed out in ascending order to however many threads ask.
final class SeedQueue: Sendable {
  private let end: UInt64
  private let next: Atomic<UInt64>
  /// Not an atomic: `Atomic<UInt64>.min` compares as if signed (Swift 6.3.1, x86-64).
  private let failed = Mutex<UInt64?>(nil)

  init(first: UInt64, count: UInt64) {
    end = first &+ count
    next = Atomic(first)
  }

  /// The lowest seed that broke an invariant: every one below it was tried, whichever thread was faster.
  var firstFailed: UInt64? { failed.withLock { $0 } }

  /// Runs seeds until none is left, or one below the next has failed. Any thread.
  func work() -> SeedSum {
    var sum = SeedSum()
    while true {
      let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard seed < end, seed < firstFailed ?? .max else { return sum }
      let report = Simulation.run(seed: seed)
      sum.add(report)
      if report.violation != nil { failed.withLock { $0 = min($0 ?? seed, seed) } }
    }
  }
}

/// What many seeds come to, in whatever order they ended.
struct SeedSum: Sendable {
  private(set) var steps = 0
  private(set) var digest: UInt64 = 0

  mutating func add(_ report: Simulation.Report) {
    steps += report.steps
    // A sum of well-mixed numbers does not depend on the order, but on each of them and on its seed.
    var mixed = (report.digest ^ report.seed) &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 29)) &* 0xBF58_476D_1CE4_E5B9
    digest &+= mixed ^ (mixed >> 32)
  }

  mutating func add(_ other: SeedSum) {
    steps += other.steps
    digest &+= other.digest
  }
}

import Synchronization
import UploadCore

/// Time as the simulation says it is; it only goes forward.
final class SimulatedClock: MonotonicClock {
  // Atomic because a clock must be Sendable; one thread uses it.
  private let nanoseconds = Atomic<Int64>(0)

  var now: Instant { Instant(nanoseconds: nanoseconds.load(ordering: .relaxed)) }

  func advance(to moment: Instant) {
    nanoseconds.store(max(now, moment).nanoseconds, ordering: .relaxed)
  }
}

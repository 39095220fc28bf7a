import Glibc
public import UploadCore

/// The kernel's monotonic clock. It stands still while the machine sleeps, so a sleep is no stall.
public struct SystemClock: MonotonicClock {
  public init() {}

  public var now: Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }
}

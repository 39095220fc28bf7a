import Testing
import UploadCore

@Suite("Rate limiter")
struct RateLimiterTests {
  @Test("over a minute no more than the rate, a second's burst and one chunk are started", arguments: [1, 1_000, 3_000_000, 10_000_000_000])
  func rateHolds(bytesPerSecond: Int) {
    var limiter = RateLimiter(bytesPerSecond: bytesPerSecond)
    let chunk = 1 << 20
    var started = 0

    for tick in 0..<60_000 {
      let now = Instant(nanoseconds: Int64(tick) * 1_000_000)
      while limiter.mayStart(at: now), started < 1_000 * chunk {
        limiter.charge(bytes: chunk, at: now)
        started += chunk
      }
    }

    #expect(started <= bytesPerSecond * 61 + chunk)
    #expect(started >= min(bytesPerSecond * 59, 999 * chunk))
  }

  @Test("what was not sent is given back")
  func refund() {
    var limiter = RateLimiter(bytesPerSecond: 1_000_000)
    let now = Instant(nanoseconds: 0)
    limiter.charge(bytes: 3_000_000, at: now)
    #expect(!limiter.mayStart(at: now))

    limiter.refund(bytes: 2_900_000)

    #expect(limiter.mayStart(at: now))
  }

  @Test("without a limit everything may start")
  func noLimit() {
    var limiter = RateLimiter(bytesPerSecond: nil)
    limiter.charge(bytes: 1 << 20, at: Instant(nanoseconds: 0))

    #expect(limiter.mayStart(at: Instant(nanoseconds: 0)))
    #expect(limiter.nextStart == nil)
  }
}

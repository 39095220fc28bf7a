import Testing
import UploadCore

@Suite("Retry delay")
struct RetryDelayTests {
  @Test("a delay lies between the shortest and the doubled, capped one", arguments: 1..<10)
  func delaysAreWithinPolicy(failures: Int) {
    let policy = UploadPolicy()
    var generator = SplitMix64(seed: UInt64(failures))
    let longest = min(60, 2 << failures)

    for _ in 0..<200 {
      let delay = RetryDelay.after(failures: failures, policy: policy, using: &generator)
      #expect(delay >= .seconds(2))
      #expect(delay <= .seconds(Int64(longest)))
    }
  }

  @Test("after ten failures in a row the delay is always the longest")
  func lastingFailure() {
    var generator = SplitMix64(seed: 1)

    for failures in [10, 11, 1_000_000] {
      #expect(RetryDelay.after(failures: failures, policy: UploadPolicy(), using: &generator) == .seconds(60))
    }
  }

  @Test("odd policies do not trap")
  func oddPolicies() {
    var policy = UploadPolicy()
    policy.retryInitial = .seconds(90)
    policy.maxConsecutiveFailures = 1_000
    var generator = SplitMix64(seed: 1)

    #expect(RetryDelay.after(failures: 999, policy: policy, using: &generator) == .seconds(60))
  }
}

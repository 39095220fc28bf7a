/// How long a session rests after failures in a row.
package enum RetryDelay {
  /// Full jitter between `retryInitial` and the capped exponential, so that sessions that failed together do not
  /// come back together; after `maxConsecutiveFailures` always the longest delay, never "given up".
  /// - Parameter failures: in a row, 1 or more.
  package static func after(
    failures: Int, policy: UploadPolicy, using generator: inout some RandomNumberGenerator
  ) -> Span {
    guard failures < policy.maxConsecutiveFailures else { return policy.retryMax }
    var longest = min(policy.retryInitial, policy.retryMax)
    for _ in 0..<failures where longest < policy.retryMax {
      longest = min(policy.retryMax, longest + longest)
    }
    let shortest = min(policy.retryInitial, longest)
    return Span(
      nanoseconds: Int64.random(in: shortest.nanoseconds...longest.nanoseconds, using: &generator))
  }
}

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

  /// Between two probes: `connectionCheckInterval` give or take half of it, so that machines that lost the same
  /// destination at the same moment do not come back at the same moment.
  package static func probe(policy: UploadPolicy, using generator: inout some RandomNumberGenerator) -> Span {
    let interval = max(0, policy.connectionCheckInterval.nanoseconds)
    return Span(nanoseconds: Int64.random(in: interval / 2...interval + interval / 2, using: &generator))
  }

  /// What a destination asked everybody for (Retry-After), or up to half as much again: never earlier, and not all at once.
  /// At most `retryAfterMax`.
  package static func afterAsked(
    _ asked: Span, policy: UploadPolicy, using generator: inout some RandomNumberGenerator
  ) -> Span {
    let least = max(0, min(asked, policy.retryAfterMax).nanoseconds)
    return Span(
      nanoseconds: min(Int64.random(in: least...least + least / 2, using: &generator), policy.retryAfterMax.nanoseconds))
  }
}

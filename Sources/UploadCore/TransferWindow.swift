/// How many requests may be in flight at once: what destination and link have earned, at most `--parallel`.
///
/// - One at first and after an outage, doubling with each success: a destination that comes back is not met by a herd.
/// - A failure that may be the link's or the destination's (no answer, a stall, 5xx, 429) halves it; requests that were in
///   flight together count once. From there on it grows by one for as many successes as it is large, so that a link which
///   breaks often has little under way each time.
/// - On a slow link it is as small as brings as many bytes a second (`SlowLink`).
///
/// So a link without faults that carries a chunk within 4 s always gets `--parallel`, after two or three requests. Constant
/// memory, constant time for each event.
struct TransferWindow: Sendable {
  /// 1 or more.
  private(set) var size = 1
  /// Up to here it doubles: the half at which it failed last.
  private var threshold = Int.max
  /// Since it grew last, above the threshold.
  private var successes = 0
  /// Requests below this number had started when it was halved last.
  private var mark: UInt64 = 0
  private var slowLink: SlowLink?

  /// The destination took something.
  mutating func succeeded(most parallel: Int) {
    let limit = min(parallel, slowLink?.limit ?? parallel)
    if size < threshold {
      size = min(size * 2, threshold)
    } else {
      successes += 1
      if successes >= size { (size, successes) = (size + 1, 0) }
    }
    if size >= limit { (size, threshold, successes) = (limit, .max, 0) }
  }

  /// - Parameters:
  ///   - number: of the request that failed.
  ///   - next: that the next request will have.
  mutating func failed(_ number: UInt64, next: UInt64) {
    guard number >= mark else { return }
    mark = next
    size = max(1, size / 2)
    (threshold, successes) = (size, 0)
    slowLink?.isDisturbed()
  }

  /// A probe was answered; the link may be another one.
  /// - Parameter isBack: the destination had been away: that had nothing to do with what was under way.
  mutating func restart(isBack: Bool) {
    (size, successes, slowLink) = (1, 0, nil)
    if isBack { threshold = .max }
  }

  mutating func shrink(to parallel: Int) { size = min(size, parallel) }

  /// A transfer of chunks was stored.
  mutating func stored(_ receipt: SlowLink.Receipt, next: UInt64, most parallel: Int) {
    if slowLink == nil, receipt.isSlow { slowLink = SlowLink(level: size, most: parallel, next: next) }
    if receipt.isQuick { slowLink = nil }
    guard let limit = slowLink?.limit, size == min(parallel, limit) else { return isNotFull() }
    slowLink?.stored(receipt, next: next, most: parallel)
  }

  /// Fewer requests are in flight than may be: what is measured says nothing of the link.
  mutating func isNotFull() { slowLink?.isDisturbed() }
}

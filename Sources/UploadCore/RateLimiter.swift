import UploadProtocol

/// Bytes a second over all transfers, as a token bucket in whole nanoseconds: a transfer may start when the bucket is
/// not in debt, and then owes the time its bytes take. Over any span the bytes started stay below
/// `rate * span + one second's worth + one chunk`.
package struct RateLimiter: Sendable {
  /// Unused time is kept for so long: short pauses between chunks do not lower the average.
  package static let burst = Span.seconds(1)

  package private(set) var bytesPerSecond: Int?
  /// The debt is paid off at this moment.
  private var paidOff = Instant(nanoseconds: Int64.min / 2)

  package init(bytesPerSecond: Int?) { self.bytesPerSecond = bytesPerSecond.map { max(1, $0) } }

  /// A new rate starts without debt; what runs is not slowed down or counted again.
  package mutating func change(to bytesPerSecond: Int?, at now: Instant) {
    self.bytesPerSecond = bytesPerSecond.map { max(1, $0) }
    paidOff = now
  }

  package func mayStart(at now: Instant) -> Bool { bytesPerSecond == nil || paidOff <= now }

  /// When the next transfer may start; nil: at any time.
  package var nextStart: Instant? { bytesPerSecond == nil ? nil : paidOff }

  package mutating func charge(bytes: Int, at now: Instant) {
    paidOff = max(paidOff, Instant(nanoseconds: now.nanoseconds - Self.burst.nanoseconds)) + time(of: bytes)
  }

  /// Gives back what was charged too much: the chunk was shorter, or was never sent.
  package mutating func refund(bytes: Int) {
    paidOff = Instant(nanoseconds: paidOff.nanoseconds - time(of: bytes).nanoseconds)
  }

  /// At most a chunk at one byte a second: 2^20 * 10^9 fits.
  private func time(of bytes: Int) -> Span {
    guard let bytesPerSecond else { return .zero }
    return Span(nanoseconds: Int64(bytes) * 1_000_000_000 / Int64(bytesPerSecond))
  }
}

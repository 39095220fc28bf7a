package import UploadCore

/// Notices that a request has not moved a byte for too long.
///
/// libcurl's own low-speed limit is blind once the kernel has taken the whole body: on a slow uplink a chunk can lie in
/// the socket's send buffer for longer than the timeout while its bytes are leaving one by one. So the watch also looks
/// at what the kernel still has to send (`SIOCOUTQ`): as long as that shrinks, bytes move.
package struct StallWatch {
  private let timeout: Span
  package private(set) var lastMoved: Instant
  private var queued: Int?
  /// When `isStalled` should be asked again.
  package private(set) var nextLook: Instant

  /// - Parameter timeout: more than zero.
  package init(timeout: Span, now: Instant) {
    self.timeout = timeout
    self.lastMoved = now
    self.nextLook = now + Self.interval(timeout)
  }

  package mutating func moved(at now: Instant) { lastMoved = now }

  /// - Parameter queuedBytes: what the kernel has not yet got acknowledged; nil when there is no socket. Asked four times
  ///   a timeout, and as often as four times the shortest one that the scheduler has (15 s), so that it hears of a movement
  ///   before it gives up.
  package mutating func isStalled(at now: Instant, queuedBytes: () -> Int?) -> Bool {
    guard now >= nextLook else { return false }
    let rest = queuedBytes()
    if let rest, let queued, rest < queued { lastMoved = now }
    queued = rest
    let end = lastMoved + timeout
    nextLook = end > now ? min(end, now + Self.interval(timeout)) : now + Self.interval(timeout)
    return now >= end
  }

  private static func interval(_ timeout: Span) -> Span { Span(nanoseconds: max(1, min(timeout.nanoseconds / 4, 3_750_000_000))) }
}

internal import Foundation

/// Wakes whoever waits for chunks to be stored. Any thread.
final class Progress: Sendable {
  private let condition = NSCondition()
  /// A wait ends after this at the latest, so that a signal between a look and the wait costs no more than that.
  private static let waitMax = 0.1

  func signal() {
    condition.lock()
    condition.broadcast()
    condition.unlock()
  }

  /// Returns at the next signal, or a moment later without one: look again.
  func wait() {
    condition.lock()
    _ = condition.wait(until: Date(timeIntervalSinceNow: Self.waitMax))
    condition.unlock()
  }
}

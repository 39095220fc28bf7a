import Synchronization

/// How many of something may be under way at once.
final class Budget: Sendable {
  private let free: Mutex<Int>

  init(_ count: Int) { free = Mutex(count) }

  /// - Returns: false when all are taken; else call `release` afterwards.
  func take() -> Bool {
    free.withLock { free in
      guard free > 0 else { return false }
      free -= 1
      return true
    }
  }

  func release() { free.withLock { $0 += 1 } }
}

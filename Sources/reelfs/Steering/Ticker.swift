import Foundation

/// A thread that does something now and then until it is stopped.
final class Ticker: @unchecked Sendable {
  // `condition` guards everything below it.
  private let condition = NSCondition()
  private var isStopping = false

  /// - Parameters:
  ///   - name: of the thread; at most 15 bytes are seen.
  ///   - body: called once now, and again when so many seconds have passed as it returns.
  init(_ name: String, _ body: @escaping @Sendable () -> Double) {
    let thread = Thread { [self] in
      while !isStopped { rest(seconds: body()) }
    }
    thread.name = name
    thread.stackSize = 1 << 19
    thread.start()
  }

  /// What is under way comes to its end; nobody waits for it.
  func stop() {
    condition.lock()
    isStopping = true
    condition.broadcast()
    condition.unlock()
  }

  private var isStopped: Bool {
    condition.lock()
    defer { condition.unlock() }
    return isStopping
  }

  private func rest(seconds: Double) {
    let end = Date(timeIntervalSinceNow: seconds)
    condition.lock()
    while !isStopping, condition.wait(until: end) {}
    condition.unlock()
  }
}

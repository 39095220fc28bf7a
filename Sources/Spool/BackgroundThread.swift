internal import Foundation
internal import Glibc

/// One thread that does what nobody waits for, in order, with what the processors have to spare.
final class BackgroundThread: @unchecked Sendable {
  private let name: String
  private let niceness: Int32
  // `condition` guards everything below it.
  private let condition = NSCondition()
  private var waiting: [@Sendable () -> Void] = []
  private var isRunning = false
  private var isStopping = false

  init(name: String = "reelfs-digests", niceness: Int32 = 19) { (self.name, self.niceness) = (name, niceness) }

  /// Any thread. What is added after `stop` is dropped.
  func add(_ work: @escaping @Sendable () -> Void) {
    condition.lock()
    defer { condition.unlock() }
    guard !isStopping else { return }
    waiting.append(work)
    condition.signal()
    if !isRunning { start() }
  }

  /// What has not begun is dropped; what is under way must look for itself.
  func stop() {
    condition.lock()
    isStopping = true
    waiting = []
    condition.signal()
    condition.unlock()
  }

  /// Waits at most so long, or until `stop`.
  func rest(seconds: Double) {
    condition.lock()
    if !isStopping { _ = condition.wait(until: Date(timeIntervalSinceNow: seconds)) }
    condition.unlock()
  }

  private func start() {
    isRunning = true
    let thread = Thread { [self] in
      // Nice values belong to threads on Linux.
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
      while let work = next() { work() }
    }
    thread.name = name
    thread.stackSize = 1 << 20
    thread.start()
  }

  private func next() -> (@Sendable () -> Void)? {
    condition.lock()
    defer { condition.unlock() }
    while waiting.isEmpty {
      if isStopping { return nil }
      condition.wait()
    }
    return waiting.removeFirst()
  }
}

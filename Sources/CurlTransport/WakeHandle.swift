import CCurl
import Synchronization

/// Ends a `poll` early, from any thread. Stays valid, and does nothing, after the transport is gone.
public final class WakeHandle: Sendable {
  /// Many wakes between two polls cost one system call.
  private let isRaised = Atomic<Bool>(false)
  /// Guards against waking a multi handle that is being freed. No other lock is taken while it is held.
  private let target: Mutex<Target?>

  private struct Target: @unchecked Sendable {
    // `curl_multi_wakeup` is the one call that libcurl allows from other threads.
    let multi: UnsafeMutableRawPointer
  }

  init(_ multi: UnsafeMutableRawPointer) { target = Mutex(Target(multi: multi)) }

  public func wake() {
    guard !isRaised.exchange(true, ordering: .sequentiallyConsistent) else { return }
    target.withLock { target in
      if let target { _ = curl_multi_wakeup(target.multi) }
    }
  }

  /// Whether anybody called `wake()` since `lower()`; until then, further calls cost nothing.
  var isUp: Bool { isRaised.load(ordering: .sequentiallyConsistent) }

  func lower() { isRaised.store(false, ordering: .sequentiallyConsistent) }

  func detach() { target.withLock { $0 = nil } }
}

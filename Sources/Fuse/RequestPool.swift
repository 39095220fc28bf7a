internal import Dispatch
internal import Synchronization

/// The threads that serve requests. A few wait in the kernel for the next request, a few are parked for the moment in which
/// all of those have one in hand, and when these are gone too more are started: a request that takes long (bytes fetched
/// from far away, an fsync that waits for the destination) keeps nobody waiting but its caller.
///
/// `@unchecked Sendable`: `serve` is called on the threads that this pool starts; the rest is behind locks.
final class RequestPool: @unchecked Sendable {
  /// Wait in the kernel at once. More than requests usually come at once on the processors of a recorder, so that waking
  /// another one is rare.
  static let waitingMax = 4
  /// Parked ones; what is more than that ends.
  static let parkedMax = 4

  private let serve: (RequestThread, RequestPool) -> Void
  /// Those that wait in the kernel, or are about to.
  private let waiting = Atomic(0)
  private let state: Mutex<State>
  /// Told when the last thread has ended.
  private let allEnded = DispatchSemaphore(value: 0)

  private struct State {
    /// The last one is taken first.
    var unused: [RequestThread]
    var parked: [RequestThread] = []
    var running = 0
    /// To be joined.
    var ended: [PoolThread] = []
    var mustEnd = false
  }

  /// - Parameter threads: as many as may ever run; more requests than that wait in the kernel.
  init(_ threads: [RequestThread], serve: @escaping (RequestThread, RequestPool) -> Void) {
    self.serve = serve
    self.state = Mutex(State(unused: threads.reversed()))
  }

  /// Runs until the threads have ended, all of them. Call it once. - Returns: false if not one could be started.
  func run() -> Bool {
    // With the lock held: one that ends at once is not the last as long as others are still to start.
    let started = state.withLock { state in (0..<Self.waitingMax).count { _ in startOne(&state) } }
    if started == 0 { return false }
    allEnded.wait()
    state.withLock { $0.ended }.forEach { $0.join() }
    return true
  }

  /// The calling thread is about to wait for a request; parks it when enough wait already.
  /// - Returns: false if it has to end.
  func willReceive(_ thread: RequestThread) -> Bool {
    // Counted already by who started it.
    if thread.isCounted {
      thread.isCounted = false
      return true
    }
    if waiting.add(1, ordering: .sequentiallyConsistent).newValue <= Self.waitingMax { return true }
    let parks = state.withLock { state -> Bool? in
      // With the lock held: who takes the last request looks here for somebody to wake, before or after.
      if state.mustEnd { return false }
      if waiting.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 {
        waiting.add(1, ordering: .sequentiallyConsistent)
        return nil
      }
      guard state.parked.count < Self.parkedMax else { return false }
      state.parked.append(thread)
      return true
    }
    guard let parks else { return true }
    thread.rest()
    guard parks else { return false }
    thread.unparked.wait()
    return state.withLock { !$0.mustEnd }
  }

  /// The calling thread has a request in hand. When nobody waits for the next one, somebody is sent.
  func hasReceived() {
    guard waiting.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 else { return }
    state.withLock { state in
      guard waiting.load(ordering: .sequentiallyConsistent) == 0, !state.mustEnd else { return }
      guard let thread = state.parked.popLast() else {
        _ = startOne(&state)
        return
      }
      waiting.add(1, ordering: .sequentiallyConsistent)
      thread.unparked.signal()
    }
  }

  /// No thread waits for requests any more: those that are parked end now, the others when they come by.
  func end() {
    state.withLock { state in
      state.mustEnd = true
      state.parked.forEach { $0.unparked.signal() }
      state.parked = []
    }
  }

  /// Without threads left, or when the system gives none, requests wait until one is answered.
  private func startOne(_ state: inout State) -> Bool {
    state.ended.forEach { $0.join() }
    state.ended = []
    guard let thread = state.unused.popLast() else { return false }
    thread.isCounted = true
    waiting.add(1, ordering: .sequentiallyConsistent)
    guard PoolThread.start(name: "reelfs-fuse", serving: thread, in: self) else {
      waiting.subtract(1, ordering: .sequentiallyConsistent)
      state.unused.append(thread)
      return false
    }
    state.running += 1
    return true
  }

  /// The body of each thread. `itself`: for joining it.
  func run(_ thread: RequestThread, _ itself: PoolThread) {
    serve(thread, self)
    let isLast = state.withLock { state in
      state.unused.append(thread)
      state.ended.append(itself)
      state.running -= 1
      return state.running == 0
    }
    if isLast { allEnded.signal() }
  }
}

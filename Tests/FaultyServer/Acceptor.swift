import Foundation
import Glibc
import Synchronization

/// Accepts connections on a free loopback port, each on a thread of its own, and can refuse them for a while.
final class Acceptor: Sendable {
  let port: UInt16
  let sockets = OpenSockets()

  private struct State {
    var isRefusing = false
    var isStopped = false
    /// What the accepting thread has put into effect.
    var isRefusingNow = false
    var hasEnded = false
    var threads = 0
  }
  private let state = Mutex(State())

  /// - Parameter serve: called with each connection; it is closed when that returns.
  init(serve: @escaping @Sendable (Int32) -> Void) throws(SocketError) {
    let listener = try Loopback.listen(port: 0)
    self.port = Loopback.port(of: listener)
    Thread.detachNewThread { [self] in run(listener, serve) }
  }

  /// Refused connections get what a dead server's machine answers: a reset of the attempt. Returns once in effect.
  func setRefusing(_ isRefusing: Bool) {
    state.withLock { $0.isRefusing = isRefusing }
    wait { $0.isRefusingNow == isRefusing || $0.hasEnded }
  }

  /// Ends all connections; returns when no thread is left, or after five seconds.
  func stop() {
    state.withLock { $0.isStopped = true }
    wait { state in
      sockets.shutDownAll()
      return state.hasEnded && state.threads == 0
    }
  }

  private func wait(_ condition: (State) -> Bool) {
    for _ in 0..<5_000 {
      if condition(state.withLock { $0 }) { return }
      usleep(1_000)
    }
  }

  private func run(_ first: Int32, _ serve: @escaping @Sendable (Int32) -> Void) {
    var listener: Int32? = first
    while true {
      let now = state.withLock { $0 }
      if now.isStopped { break }
      if now.isRefusing, let open = listener {
        close(open)
        listener = nil
      } else if !now.isRefusing, listener == nil {
        listener = try? Loopback.listen(port: port)
      }
      let isRefusing = listener == nil
      state.withLock { $0.isRefusingNow = isRefusing }
      if let listener { acceptOne(listener, serve) } else { usleep(2_000) }
    }
    if let listener { close(listener) }
    state.withLock { $0.hasEnded = true }
  }

  private func acceptOne(_ listener: Int32, _ serve: @escaping @Sendable (Int32) -> Void) {
    guard Loopback.isReady(listener, POLLIN, milliseconds: 10) else { return }
    let connection = accept(listener, nil, nil)
    guard connection >= 0 else { return }
    _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
    sockets.insert(connection)
    state.withLock { $0.threads += 1 }
    Thread.detachNewThread { [self] in
      serve(connection)
      sockets.closeOwn(connection)
      state.withLock { $0.threads -= 1 }
    }
  }
}

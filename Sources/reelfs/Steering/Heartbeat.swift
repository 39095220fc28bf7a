import CurlTransport
import RecordingFS
import Synchronization
import SyncStatus

/// Tells `--heartbeat-url` every minute how the mount is. Silence means that nobody runs here any more.
final class Heartbeat: Sendable {
  static let seconds = 60.0

  private let reader: StatusReader
  private let state = Mutex(State())

  private struct State: Sendable {
    var hook: WebHook?
    var address: String?
    var ticker: Ticker?
    /// What was complained about last, so that a dead address does not fill the log.
    var complaint: String?
  }

  init(reader: StatusReader) { self.reader = reader }

  /// - Parameter address: nil: nobody is told.
  func adopt(_ address: String?) {
    state.withLock { state in
      guard address != state.address else { return }
      state.address = address
      state.hook = address.map { WebHook(address: $0, clock: SystemClock()) }
      state.ticker?.stop()
      state.ticker = address == nil ? nil : Ticker("reelfs-heartbeat") { [self] in
        beat()
        return Self.seconds
      }
    }
  }

  func stop() { state.withLock { $0.ticker?.stop() } }

  private func beat() {
    guard let hook = state.withLock({ $0.hook }) else { return }
    let health = Health(of: reader.overall())
    let complaint: String? =
      switch health {
      case .well: hook.tell(failure: nil)
      case .failing(let reason): hook.tell(failure: reason)
      }
    let isNew = state.withLock { state in
      defer { state.complaint = complaint }
      return complaint != nil && state.complaint != complaint
    }
    if isNew, let complaint { Terminal.complain("--heartbeat-url: \(complaint)") }
  }
}

internal import CLinux
internal import Fuse
internal import Glibc

/// The worker's signals, as events on a thread of their own: handlers in the middle of other code could do next to
/// nothing.
///
/// `@unchecked Sendable`: made by one thread, then used by the new one only.
final class WorkerSignals: @unchecked Sendable {
  /// Blocks them for the calling thread and those it starts.
  static let descriptor: CInt = {
    let handled = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]
    return clinux_signal_descriptor(handled, CInt(handled.count))
  }()

  private let session: Session
  private let mountpoint: String
  private let hangup: @Sendable () -> Void
  private let terminate: @Sendable () -> Void
  private let isAlive: @Sendable () -> Bool
  private let supervisor = getppid()

  private init(
    _ session: Session, _ mountpoint: String, _ hangup: @escaping @Sendable () -> Void,
    _ terminate: @escaping @Sendable () -> Void, _ isAlive: @escaping @Sendable () -> Bool
  ) {
    self.session = session
    self.mountpoint = mountpoint
    self.hangup = hangup
    self.terminate = terminate
    self.isAlive = isAlive
  }

  /// The thread lives as long as the process.
  static func start(
    _ session: Session, mountpoint: String, hangup: @escaping @Sendable () -> Void,
    terminate: @escaping @Sendable () -> Void, isAlive: @escaping @Sendable () -> Bool
  ) {
    let signals = WorkerSignals(session, mountpoint, hangup, terminate, isAlive)
    var thread = pthread_t()
    let retained = Unmanaged.passRetained(signals)
    let result = pthread_create(&thread, nil, { argument in
      clinux_name_thread("reelfs-signals")
      if let argument { Unmanaged<WorkerSignals>.fromOpaque(argument).takeRetainedValue().wait() }
      return nil
    }, retained.toOpaque())
    // Without it the worker serves all the same; it is then replaced by force.
    if result == 0 { pthread_detach(thread) } else { retained.release() }
  }

  private func wait() {
    while true {
      var watched = pollfd(fd: Self.descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&watched, 1, -1) > 0 else { continue }
      while case let signal = clinux_next_signal(Self.descriptor), signal != 0 { obey(signal) }
    }
  }

  private func obey(_ signal: CInt) {
    switch signal {
    case SIGUSR1: session.requestStop()
    case SIGUSR2: if isAlive() { session.beat() }
    case SIGHUP: hangup()
    case SIGTERM, SIGINT:
      terminate()
      // The supervisor is dead: nobody else unmounts.
      if getppid() != supervisor { try? FuseMount.unmount(mountpoint, .lazily) }
    default: break
    }
  }
}

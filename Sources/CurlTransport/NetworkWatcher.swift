import CLinux
import Glibc

/// Tells when an interface, an address or a route comes up, so that nobody has to wait for a timer to look again.
///
/// Listens to the kernel's route messages (netlink), which needs no privilege, on a thread of its own.
public final class NetworkWatcher: Sendable {
  private let core: NetworkWatcherCore
  private let thread: pthread_t

  /// - Parameter onChange: called on the watcher's thread, at most once a second: a network that comes up sends dozens
  ///   of messages. It should only post and return, and must not call `stop()`.
  public init(onChange: @escaping @Sendable () -> Void) throws(NetworkWatcherError) {
    let core = try NetworkWatcherCore(onChange: onChange)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(core)
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<NetworkWatcherCore>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      throw NetworkWatcherError(call: "pthread_create", code: code)
    }
    pthread_setname_np(thread, "reelfs-network")
    self.core = core
    self.thread = thread
  }

  deinit { stop() }

  /// Ends the watch; after it returns, `onChange` is not called any more. May be called again.
  public func stop() {
    if core.requestStop() { pthread_join(thread, nil) }
  }
}

public struct NetworkWatcherError: Error, Equatable, Sendable, CustomStringConvertible {
  public let call: String
  /// An errno.
  public let code: Int32

  public var description: String { "cannot watch the network: \(call): \(String(cString: strerror(code)))" }

  init(call: String, code: Int32) {
    self.call = call
    self.code = code
  }
}

import Synchronization

/// The token of a destination. It may be replaced where it was found while the mount runs. Any thread.
public final class BearerToken: Sendable {
  private let text: Mutex<String?>
  private let reread: @Sendable () -> String?

  /// - Parameter reread: what the token is now; nil: nothing that can be used.
  init(_ text: String?, reread: @escaping @Sendable () -> String?) {
    self.text = Mutex(text)
    self.reread = reread
  }

  /// The header that carries it, if there is one.
  var header: [String] { text.withLock { $0 }.map { ["Authorization: Bearer \($0)"] } ?? [] }

  /// Looks for it again: before each look at a destination that is offline or has refused us.
  func refresh() {
    guard let found = reread(), ChunkDestination.isHeaderText(found) else { return }
    text.withLock { $0 = found }
  }
}

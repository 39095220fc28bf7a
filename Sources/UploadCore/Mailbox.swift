import Synchronization

/// A queue from any thread to the uploader thread.
///
/// It never blocks a poster for longer than an append, and never refuses: names that changed must be told. What grows with
/// bytes stays away once it `isFull` (the spool then leaves chunks unsealed and seals them after the next drain), so what
/// waits is bounded by the limit and by the names that changed since, whatever was written.
public final class Mailbox<Message: Sendable>: Sendable {
  /// The lock protects the waiting messages; nothing else is ever taken while it is held.
  private let waiting = Mutex<[Message]>([])

  /// Messages from which on it counts as full: 16 turns' worth, some MiB; a reader that is further behind is held up by
  /// its disk, and gains nothing from more.
  public let limit: Int

  public init(limit: Int = 65_536) { self.limit = limit }

  /// Whoever can say the same later should. May be old news at return.
  public var isFull: Bool { waiting.withLock { $0.count >= limit } }

  /// Appends `message`.
  /// - Returns: true if nothing was waiting before: only then does the poster have to wake the reader.
  @discardableResult
  public func post(_ message: Message) -> Bool {
    waiting.withLock { messages in
      messages.append(message)
      return messages.count == 1
    }
  }

  /// Everything posted since the last call, in the order of posting.
  public func drain() -> [Message] {
    waiting.withLock { messages in
      let all = messages
      messages = []
      return all
    }
  }
}

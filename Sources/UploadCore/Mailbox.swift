import Synchronization

/// A queue from any thread to the uploader thread.
///
/// It never blocks a poster for longer than an append, and has no limit of its own: who posts keeps what waits small
/// (the spool posts one event a sealed chunk, so a million waiting events stand for a tebibyte written during one turn).
public final class Mailbox<Message: Sendable>: Sendable {
  /// The lock protects the waiting messages; nothing else is ever taken while it is held.
  private let waiting = Mutex<[Message]>([])

  public init() {}

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

import NIOCore
import Synchronization

/// One request at a time writes to an upload. A request whose connection went silent gives way to the next one:
/// without that a client that lost its network would be locked out by its own dead connection.
final class TusLocks: Sendable {
  /// A request's hold on an upload.
  final class Hold: Sendable {
    fileprivate let channel: (any Channel)?
    /// Ends soon by itself.
    fileprivate let isBrief: Bool
    private let moved: Mutex<ContinuousClock.Instant>

    fileprivate init(channel: (any Channel)?, isBrief: Bool = false) {
      self.channel = channel
      self.isBrief = isBrief
      moved = Mutex(.now)
    }

    /// Bytes have arrived, or were stored.
    func touch() { moved.withLock { $0 = .now } }

    fileprivate var silence: Duration { moved.withLock { $0.duration(to: .now) } }
  }

  private struct Entry {
    let hold: Hold
    /// At most one: whoever comes third is told to come again.
    var successor: CheckedContinuation<Bool, Never>?
  }

  private let entries = Mutex<[TusID: Entry]>([:])
  private let staleAfter: Duration

  init(staleSeconds: Int) { staleAfter = .seconds(staleSeconds) }

  /// - Parameter channel: what is closed when the holder goes silent; nil: it waits for nobody and is never silent.
  /// - Throws: `.locked` while another request makes progress.
  func take(_ id: TusID, channel: (any Channel)?) async throws(ReceiverError) -> Hold {
    let hold = Hold(channel: channel)
    if tryTake(id, hold) { return hold }
    try await endSilent(id)
    guard tryTake(id, hold) else { throw .locked }
    return hold
  }

  /// Ends a holder that went silent, and waits until what it received is stored.
  /// - Throws: `.locked` when there is a holder that makes progress, or one that somebody else waits for.
  func endSilent(_ id: TusID) async throws(ReceiverError) {
    let isEnded = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
      waitForEnd(id, continuation)
    }
    if !isEnded { throw .locked }
  }

  /// Takes what nobody holds, and disturbs nobody, silent or not. Requests wait for the end of this, instead of being
  /// told of a lock that no other request has.
  func takeIfFree(_ id: TusID) -> Bool { tryTake(id, Hold(channel: nil, isBrief: true)) }

  func release(_ id: TusID) {
    let entry = entries.withLock { $0.removeValue(forKey: id) }
    entry?.successor?.resume(returning: true)
  }

  func isHeld(_ id: TusID) -> Bool { entries.withLock { $0[id] != nil } }

  private func tryTake(_ id: TusID, _ hold: Hold) -> Bool {
    entries.withLock { entries in
      guard entries[id] == nil else { return false }
      entries[id] = Entry(hold: hold)
      return true
    }
  }

  /// Answers at once unless there is a silent or brief holder whose end must be waited for.
  private func waitForEnd(_ id: TusID, _ continuation: CheckedContinuation<Bool, Never>) {
    enum Next { case answer(Bool), close(any Channel), wait }
    let next = entries.withLock { entries -> Next in
      guard let entry = entries[id] else { return .answer(true) }
      guard entry.successor == nil else { return .answer(false) }
      if entry.hold.isBrief {
        entries[id]?.successor = continuation
        return .wait
      }
      guard let channel = entry.hold.channel, entry.hold.silence >= staleAfter else { return .answer(false) }
      entries[id]?.successor = continuation
      return .close(channel)
    }
    switch next {
    case .answer(let isEnded): continuation.resume(returning: isEnded)
    case .close(let channel): channel.close(promise: nil)
    case .wait: break
    }
  }
}

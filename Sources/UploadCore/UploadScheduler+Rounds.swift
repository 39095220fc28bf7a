import HeapModule
import UploadProtocol

/// Periodic sync (`--sync-every`): everything is queued, and sent in rounds.
///
/// Rounds begin on a grid of `every` from the start on; the first one is the start itself, so that a worker which is replaced
/// again and again still sends. A round lasts `least`, and then until nothing is left that could be sent now.
struct Rounds: Sendable {
  /// nil: no rounds, everything is sent as it comes.
  private(set) var every: Span?
  /// Requests may start.
  private(set) var isOpen = true
  /// A running round does not end before; nil: continuous, or not begun.
  private(set) var leastUntil: Instant?
  /// On the grid: when the next round begins, if there is something to send then.
  private(set) var next: Instant?

  init(every: Span?) { self.every = every }

  /// Moves the grid up to the present: a round that nobody needed is not held later.
  mutating func skip(to now: Instant) {
    guard let every, let next, !isOpen, next <= now else { return }
    let missed = (now - next).nanoseconds / every.nanoseconds + 1
    self.next = next + Span(nanoseconds: missed * every.nanoseconds)
  }

  /// Begins a round, whether it is time or somebody asks; one that runs is held open for `least` from now on.
  mutating func begin(at now: Instant, least: Span) {
    guard let every else { return }
    if let next, next <= now { self.next = next + every }
    if next == nil { next = now + every }
    isOpen = true
    leastUntil = now + least
  }

  mutating func end(at now: Instant) {
    isOpen = false
    leastUntil = nil
    skip(to: now)
  }

  mutating func change(to every: Span?, at now: Instant, least: Span) {
    guard every != self.every else { return }
    self = Rounds(every: every)
    begin(at: now, least: least)
  }
}

extension UploadScheduler {
  /// Before the events of a turn: what they bring waits for a round that is to come.
  mutating func skipRounds() {
    if !hasWork { rounds.skip(to: now) }
  }

  mutating func beginRound() {
    guard rounds.every != nil else { return }
    if rounds.next == nil { return rounds.begin(at: now, least: policy.roundLeast) }
    if !rounds.isOpen, let next = rounds.next, next <= now, hasWork { rounds.begin(at: now, least: policy.roundLeast) }
  }

  mutating func endRound() {
    guard rounds.isOpen, let least = rounds.leastUntil, least <= now, !hasWork, !hasRestingWork else { return }
    rounds.end(at: now)
  }

  /// Something could be sent, if it were allowed, or is on its way.
  private var hasWork: Bool {
    !queue.isEmpty || !transfers.isEmpty || (policy.geometry == .undiscovered && !sessions.isEmpty)
  }

  /// A session that rests after a failure belongs to the round, but not one that fails for good: it would keep the round open
  /// for all others. At most a look at every session that rests.
  private var hasRestingWork: Bool {
    delays.unordered.contains { ticket in
      guard let entry = sessions[ticket.session] else { return false }
      return entry.notBefore == ticket.moment && entry.failures < policy.maxConsecutiveFailures
    }
  }

  /// When a round begins or ends by itself; nil: only an event changes anything.
  var roundDeadline: Instant? {
    guard rounds.every != nil else { return nil }
    if rounds.isOpen { return hasWork || hasRestingWork ? nil : rounds.leastUntil }
    return hasWork ? rounds.next : nil
  }
}

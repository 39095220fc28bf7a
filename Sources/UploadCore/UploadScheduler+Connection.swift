import UploadProtocol

/// What is known of the one destination.
struct Connection: Sendable {
  enum State: Sendable, Equatable {
    case online
    /// A request found nobody: one probe decides, and nothing else starts.
    case suspect
    case offline(String)
    case blocked(BlockReason, String)
  }

  /// A probe is tiny: the stall timeout of uploads would hide a dead destination for a minute.
  static let probeTimeout = Span.seconds(15)
  /// Interfaces come and go in bursts of notifications; one probe answers a burst.
  static let probePause = Span.seconds(1)

  var state = State.online
  var probe: TransferID?
  /// It was full and is tried again: until it has taken something, that it is full is all that is known.
  var stillFull: String?
  /// While offline or blocked: when to look again.
  var nextProbe: Instant?
  var lastProbe: Instant?
  var window = TransferWindow()
  var spacing = RequestSpacing()
  /// The destination asked everybody (Retry-After) to wait until then.
  var notBefore: Instant?
  /// Failures in a row, of whatever session; one that fails alone again and again counts once.
  var failures = 0
  var lastFailed: SessionID?
  /// So many sessions failing in a row, none succeeding, are the destination's trouble: then it rests as a whole, or a
  /// thousand sessions with a minute's delay each would still knock 16 times a second.
  static let failuresMax = 8
  /// Sessions whose failure may be the network's.
  var suspects: [SessionID] = []

  var visibleState: ConnectionState {
    switch state {
    case .online, .suspect: stillFull.map { .blocked(.full, $0) } ?? .online
    case .offline(let message): .offline(message)
    case .blocked(let reason, let message): .blocked(reason, message)
    }
  }
}

/// The circuit: online, suspect, offline, blocked.
extension UploadScheduler {
  mutating func startProbe() {
    guard connection.probe == nil, !isPaused, rounds.isOpen else { return }
    switch connection.state {
    case .online: return
    case .suspect: break
    case .offline, .blocked:
      guard let moment = connection.nextProbe, moment <= now else { return }
    }
    // Suspicion follows the end of a request and stops all starts, so there is always a slot for the probe (I4).
    connection.nextProbe = nil
    connection.lastProbe = now
    connection.probe = lease(.probe)
  }

  /// `transfer` ended as it does when nobody is there.
  mutating func suspect(because transfer: InFlight) {
    connection.window.failed(transfer.id.number, next: nextTransfer)
    if let session = transfer.request.session, connection.suspects.count < policy.parallel {
      connection.suspects.append(session)
    }
    if connection.state == .online { connection.state = .suspect }
  }

  mutating func probeEnded(_ outcome: TransferOutcome) {
    switch outcome {
    case .reachable: becameOnline()
    case .blocked(let reason, let message): becameBlocked(reason, message)
    case .unreachable(let message): becameOffline(message, after: nil)
    case .retryable(let message, let after), .throttled(let message, let after):
      becameOffline(message, after: after)
    case .rejected(let message), .corrupted(let message), .unreadable(let message), .notHere(let message):
      becameOffline(message, after: nil)
    case .stored, .announced, .completed, .incomplete, .superseded, .sessionUnknown, .stale, .runStored, .advanced,
      .rolledBack, .recordingsStored, .recordingsUntaken:
      becameOffline("the destination gave a strange answer to a probe", after: nil)
    }
  }

  private mutating func becameOnline() {
    let isBack = connection.state != .online && connection.state != .suspect
    switch connection.state {
    case .online, .suspect: break
    case .offline: effects.append(.announce(.connectionRestored))
    // A probe needs no room there: only a request tells.
    case .blocked(.full, let message): connection.stillFull = message
    case .blocked: effects.append(.announce(.uploadResumed))
    }
    connection.state = .online
    connection.window.restart(isBack: isBack)
    connection.nextProbe = nil
    connection.suspects = []
  }

  private mutating func becameOffline(_ message: String, after: Span?) {
    switch connection.state {
    case .offline: break
    case .online, .suspect, .blocked: effects.append(.announce(.connectionLost(message)))
    }
    connection.state = .offline(message)
    connection.stillFull = nil
    let asked = after.map { RetryDelay.afterAsked($0, policy: policy, using: &generator) } ?? .zero
    connection.nextProbe = now + max(RetryDelay.probe(policy: policy, using: &generator), asked)
    forgiveSuspects()
  }

  mutating func becameBlocked(_ reason: BlockReason, _ message: String) {
    let wasBlocked = if case .blocked = connection.state { true } else { connection.stillFull != nil }
    connection.stillFull = nil
    connection.state = .blocked(reason, message)
    connection.suspects = []
    if !wasBlocked {
      effects.append(.announce(.uploadPaused(message)))
      // A probe that is under way knows less than the request that was just refused.
      if let probe = connection.probe { cancel(probe) }
      connection.nextProbe = nil
    }
    guard connection.probe == nil, connection.nextProbe == nil else { return }
    // Whoever mends it (a disk, a bucket, a key) need not know of us: it goes on by itself. One small request in a minute
    // costs nothing.
    connection.nextProbe = now + min(policy.retryMax, policy.blockedCheckInterval)
  }

  /// Nobody was there: the failures were not the sessions' own, so none of them has to wait longer for it.
  private mutating func forgiveSuspects() {
    for session in connection.suspects {
      guard let failures = sessions[session]?.failures else { continue }
      sessions[session]?.failures = max(0, failures - 1)
      sessions[session]?.notBefore = nil
      troubled[session] = nil
      refresh(session)
    }
    connection.suspects = []
  }

  /// Looks at once: a route came up, or a person asks.
  mutating func probeSoon() {
    guard connection.state != .online else { return }
    let earliest = connection.lastProbe.map { $0 + Connection.probePause } ?? now
    connection.nextProbe = max(now, earliest)
  }

  mutating func networkChanged() {
    // What is in flight may hang on the route that went away.
    let isIdle = connection.lastProbe.map { $0 + Connection.probePause <= now } ?? true
    if connection.state == .online, isIdle, !transfers.isEmpty, transfers.count < policy.parallel {
      connection.state = .suspect
    }
    probeSoon()
  }

  /// A passing fault, told by the destination to a request of `session`.
  mutating func destinationFailed(_ transfer: InFlight, _ session: SessionID, after: Span?) {
    connection.window.failed(transfer.id.number, next: nextTransfer)
    if let after { wait(RetryDelay.afterAsked(after, policy: policy, using: &generator)) }
    if connection.lastFailed != session { connection.failures += 1 }
    connection.lastFailed = session
    let excess = connection.failures - Connection.failuresMax
    if excess > 0 { wait(RetryDelay.after(failures: excess, policy: policy, using: &generator)) }
  }

  /// A floor for the whole destination.
  private mutating func wait(_ delay: Span) {
    let moment = now + delay
    connection.notBefore = max(connection.notBefore ?? moment, moment)
  }
}

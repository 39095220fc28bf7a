import UploadCore
import UploadProtocol

/// Watches the invariants of the design while a simulation runs; keeps the first that is broken.
struct Checker {
  private(set) var violation: String?
  /// The loop slept without deadline while nothing was on the agenda.
  var sleptForEver = false
  /// The loop keeps facts that the journal did not take.
  private var journalLags = false
  /// Sessions of which the receiver lost something it had acknowledged: a fault beyond I2, mended by completion.
  var forgetful: Set<SessionID> = []

  private var idlePolls = 0
  /// Starts since anything succeeded or anybody did something, and since when.
  private var futileStarts = 0
  private var futileSince = Instant(nanoseconds: 0)
  /// A probe failed, and none was answered since.
  private var isAway = false
  /// The first failure of a session since its last start, success or pardon.
  private var failedAt: [SessionID: Instant] = [:]
  /// Failures since the last success of a session, and answers since its last completion that led nowhere: what its
  /// delay may be worth.
  private var failures: [SessionID: Int] = [:]
  private var detours: [SessionID: Int] = [:]
  /// The destination is back, and has not answered a request since: one at a time.
  private var isBack = false
  private var lastBeforeBack: Int64 = 0
  private var lastStarted: Int64 = 0
  private var notBefore = Instant(nanoseconds: 0)
  private var limit: Int?
  private var limitSince = Instant(nanoseconds: 0)
  private var limitedBytes = 0
  /// What was sent as which version.
  private var sent: [ChunkID: (version: ChunkVersion, digest: ChunkDigest)] = [:]

  mutating func fail(_ invariant: String, _ text: String) {
    if violation == nil { violation = "\(invariant): \(text)" }
  }

  // MARK: I1 and I6, when all has settled

  /// nil when everything local is whole at the receiver and the journal says so.
  static func unsettled(_ world: SimulatedWorld) -> String? {
    for session in world.sessions {
      guard let file = world.files[session] else { continue }
      guard let row = world.journal.rows.sessions[session] else { return "\(session.number) not in the journal" }
      guard row.isSynced else { return "\(session.number) not synced" }
      guard let remote = world.receiver.sessions[session], let recording = remote.recording
      else { return "\(session.number) not at the receiver" }
      guard recording.size == file.size, recording.digests == (0..<file.chunkCount).map({ file.digest(of: $0) })
      else { return "\(session.number) differs at the receiver" }
      guard remote.path == file.path else { return "\(session.number) has another path at the receiver" }
    }
    return nil
  }

  // MARK: I2 and I3

  mutating func recorded(_ fact: JournalFact, _ world: SimulatedWorld) {
    switch fact {
    case .stored(let chunk, let version, let digest):
      guard !forgetful.contains(chunk.session), world.files[chunk.session] != nil else { return }
      guard let held = world.receiver.sessions[chunk.session]?.chunks[chunk.index] else {
        return fail("I2", "journal says stored, receiver has nothing of chunk \(chunk.index)")
      }
      let isTrue = held.version > version || held == SimulatedReceiver.Chunk(version: version, digest: digest)
      if !isTrue { fail("I2", "journal says \(chunk.index) is stored as \(version), receiver has \(held.version)") }
    case .synced(let session, _):
      forgetful.remove(session)
    default: break
    }
  }

  mutating func loaded(_ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest) {
    if let old = sent[chunk] {
      if old.version == version, old.digest != digest { fail("I2", "chunk \(chunk.index) has two contents as \(version)") }
      if old.version > version { fail("I2", "chunk \(chunk.index) went back from \(old.version) to \(version)") }
    }
    sent[chunk] = (version, digest)
  }

  mutating func published(_ notices: [UploadNotice], _ summary: UploadSummary, _ world: SimulatedWorld) {
    for notice in notices {
      switch notice {
      case .chunkUploaded(let chunk) where !world.journal.everStored.contains(chunk) && !forgetful.contains(chunk.session):
        // The spool may have reopened it in between; then no row says stored, but the receiver still has it.
        if world.receiver.sessions[chunk.session]?.chunks[chunk.index] == nil {
          fail("I3", "told that chunk \(chunk.index) is uploaded, journal never said so")
        }
      default: break
      }
    }
    journalLags = summary.journalError != nil
    if summary.inFlight > world.policy.parallel { fail("I4", "\(summary.inFlight) in flight") }
    if summary.troubled.count > 1_000 { fail("I4", "the summary is not bounded") }
  }

  // MARK: I4: no turn without progress

  mutating func polled(isIdle: Bool, deadline: Instant?) {
    idlePolls = isIdle ? idlePolls + 1 : 0
    if idlePolls > 100 { fail("I4", "100 turns in a row in which nothing happened") }
  }

  // MARK: I4 and I5: what is started

  mutating func started(_ transfer: Transfer, among active: [Transfer], policy: UploadPolicy, at now: Instant) {
    if active.count >= policy.parallel { fail("I4", "more than \(policy.parallel) in flight") }
    if active.contains(where: { $0.request == transfer.request }) { fail("I4", "twice in flight: \(transfer.request)") }
    lastStarted = Int64(transfer.id.number)
    futileStarts += 1
    let allowed = 60 + 5 * (now - futileSince).nanoseconds / 1_000_000_000
    if futileStarts > allowed { fail("I5", "\(futileStarts) requests since anything succeeded") }
    guard let session = transfer.request.session else { return }
    if isAway { fail("I5", "a request while only probes may go") }
    if isBack, active.contains(where: { Int64($0.id.number) > lastBeforeBack }) {
      fail("I5", "a herd after the destination came back")
    }
    if now < notBefore { fail("I5", "a request before Retry-After was over") }
    if let failure = failedAt[session], now < failure + policy.retryInitial {
      fail("I5", "\(session.number) tried again sooner than the shortest delay")
    }
    failedAt[session] = nil
    if case .chunk = transfer.request, let limit, limitedBytes > 0 {
      let seconds = (now - limitSince).nanoseconds / 1_000_000_000 + 2
      let allowed = Int(seconds) * limit + (policy.parallel + 1) * ChunkLayout.chunkBytes
      if limitedBytes > allowed { fail("I5", "\(limitedBytes) bytes in \(seconds) s at \(limit) bytes a second") }
    }
  }

  mutating func reported(_ outcome: TransferOutcome, to transfer: Transfer, at now: Instant) {
    switch outcome {
    case .stored(_, _, let bytes):
      limitedBytes += bytes
      succeeded(transfer, now)
    case .announced, .completed, .runStored, .advanced: succeeded(transfer, now)
    case .reachable:
      if isAway {
        isBack = true
        lastBeforeBack = lastStarted
      }
      isAway = false
    case .retryable(_, let after), .throttled(_, let after):
      failed(transfer, now)
      if transfer.request != .probe, let after { notBefore = max(notBefore, now + min(after, .seconds(3_600))) }
    case .blocked:
      isAway = true
      pardon()
    case .unreachable, .unreadable, .corrupted: failed(transfer, now)
    case .incomplete, .superseded, .sessionUnknown, .rolledBack, .rejected, .stale: break
    }
    count(outcome, transfer.request)
  }

  /// Every outcome, those that the spool gives instead of a payload too.
  mutating func count(_ outcome: TransferOutcome, _ request: UploadRequest) {
    guard let session = request.session else { return }
    switch outcome {
    case .stored, .announced, .runStored, .advanced: failures[session] = 0
    case .completed:
      failures[session] = 0
      detours[session] = 0
    case .incomplete, .superseded, .sessionUnknown, .rolledBack: detours[session, default: 0] += 1
    default: failures[session, default: 0] += 1
    }
  }

  /// I6: what the journal holds as sealed is on the scheduler's list, so that it is sent without waiting for anything.
  mutating func checkQueue(of scheduler: UploadScheduler, _ world: SimulatedWorld) {
    guard !journalLags else { return }
    for session in world.sessions {
      guard let row = world.journal.rows.sessions[session], let file = world.files[session] else { continue }
      for index in 0..<file.chunkCount where row.chunks[index]?.state == .sealed {
        guard !scheduler.knows(ChunkID(session, index)) else { continue }
        fail("I6", "chunk \(index) of \(session.number) is sealed, and the scheduler has forgotten it")
      }
    }
  }

  /// No session rests longer than its failures are worth.
  mutating func checkDelays(of scheduler: UploadScheduler, _ sessions: [SessionID], policy: UploadPolicy, at now: Instant) {
    for session in sessions {
      guard let moment = scheduler.retryMoment(of: session) else { continue }
      let count = min(20, failures[session, default: 0] + detours[session, default: 0])
      let longest = min(policy.retryMax, Span(nanoseconds: policy.retryInitial.nanoseconds << Int64(count)))
      if moment > now + longest { fail("I5", "\(session.number) rests too long after \(count) failures") }
    }
  }

  mutating func cancelled(_ transfer: Transfer, at now: Instant) {
    // A probe without an answer for its time is one that failed; or a refusal overtook it, which is told as well.
    if transfer.request == .probe { failed(transfer, now) }
    count(.retryable("", after: nil), transfer.request)
  }

  mutating func commanded(_ command: ControlCommand, at now: Instant) {
    somethingDone(now)
    switch command {
    case .processUploads:
      pardon()
      notBefore = now
    case .limit(let bytesPerSecond):
      limit = bytesPerSecond
      limitSince = now
      limitedBytes = 0
    default: break
    }
  }

  /// A new process knows nothing of delays.
  mutating func restarted(at now: Instant) {
    pardon()
    somethingDone(now)
    isAway = false
    isBack = false
    lastStarted = 0
    failures = [:]
    detours = [:]
    notBefore = now
    limit = nil
    limitedBytes = 0
  }

  mutating func somethingDone(_ now: Instant) {
    futileStarts = 0
    futileSince = now
  }

  private mutating func succeeded(_ transfer: Transfer, _ now: Instant) {
    somethingDone(now)
    isBack = false
    if let session = transfer.request.session { failedAt[session] = nil }
  }

  private mutating func failed(_ transfer: Transfer, _ now: Instant) {
    isBack = false
    guard let session = transfer.request.session else {
      // The network was to blame.
      isAway = true
      return pardon()
    }
    if failedAt[session] == nil { failedAt[session] = now }
  }

  private mutating func pardon() { failedAt = [:] }
}

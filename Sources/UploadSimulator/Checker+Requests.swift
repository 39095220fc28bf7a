import UploadCore
import UploadProtocol

/// I4 and I5: what is started, and when.
extension Checker {
  // MARK: I4: no turn without progress

  mutating func polled(isIdle: Bool, deadline: Instant?) {
    idlePolls = isIdle ? idlePolls + 1 : 0
    turnsOfForce = max(0, turnsOfForce - 1)
    if idlePolls > 100 { fail("I4", "100 turns in a row in which nothing happened") }
  }

  // MARK: I4 and I5: what is started

  mutating func started(
    _ transfer: Transfer, _ payload: SimulatedPayload, among active: [SimulatedWorld.ActiveRequest],
    carriedMax: Int, policy: UploadPolicy, at now: Instant
  ) {
    if active.count >= policy.parallel { fail("I4", "more than \(policy.parallel) in flight") }
    if active.contains(where: { $0.transfer.request == transfer.request }) {
      fail("I4", "twice in flight: \(transfer.request)")
    }
    if case .run(let run) = transfer.request { checkRun(run, among: active) }
    let buffered = active.reduce(payload.bytes) { $0 + $1.payload.bytes }
    if buffered > policy.parallel * carriedMax * ChunkLayout.chunkBytes { fail("I4", "\(buffered) bytes in buffers") }
    runBytes = carriedMax * ChunkLayout.chunkBytes
    lastStarted = Int64(transfer.id.number)
    startedAt[transfer.id] = now
    movedAt[transfer.id] = now
    futileStarts += 1
    let allowed = 60 + 5 * (now - futileSince).nanoseconds / 1_000_000_000
    if futileStarts > allowed { fail("I5", "\(futileStarts) requests since anything succeeded") }
    guard transfer.request != .probe else { return }
    if isAway { fail("I5", "a request while only probes may go") }
    if isPaused { fail("I5", "a request while all is paused") }
    if isBack, active.contains(where: { Int64($0.transfer.id.number) > lastBeforeBack }) {
      fail("I5", "a herd after the destination came back")
    }
    if now < notBefore { fail("I5", "a request before Retry-After was over") }
    for session in transfer.request.sessions {
      if held.contains(session) { fail("I5", "a request of \(session.number), which is held back") }
      if let failure = failedAt[session], now < failure + policy.retryInitial {
        fail("I5", "\(session.number) tried again sooner than the shortest delay")
      }
      failedAt[session] = nil
    }
    checkBatches(transfer.request, among: active)
    if let limit, limitedBytes > 0 {
      let seconds = (now - limitSince).nanoseconds / 1_000_000_000 + 2
      let allowed = Int(seconds) * limit + (policy.parallel + 1) * runBytes
      if limitedBytes > allowed { fail("I5", "\(limitedBytes) bytes in \(seconds) s at \(limit) bytes a second") }
    }
  }

  /// A recording that travels whole travels alone: nothing else of its session is on its way, whichever began first.
  private mutating func checkBatches(_ request: UploadRequest, among active: [SimulatedWorld.ActiveRequest]) {
    let sessions = Set(request.sessions)
    if sessions.count != request.sessions.count || sessions.count > UploadScheduler.recordingsMax {
      fail("I4", "a batch of \(request.sessions)")
    }
    for other in active.map(\.transfer.request) where Self.isBatch(request) || Self.isBatch(other) {
      if !sessions.isDisjoint(with: other.sessions) { fail("I4", "\(other) and \(request) in flight at once") }
    }
  }

  private static func isBatch(_ request: UploadRequest) -> Bool { if case .recordings = request { true } else { false } }

  /// No chunk travels twice at once, and what is appended goes one after the other.
  private mutating func checkRun(_ run: ChunkRun, among active: [SimulatedWorld.ActiveRequest]) {
    for other in active where other.transfer.request.session == run.session {
      guard case .run(let old) = other.transfer.request, isAppending || old.chunks.overlaps(run.chunks) else { continue }
      fail("I4", "chunks \(run.chunks) and \(old.chunks) of \(run.session.number) in flight at once")
    }
  }

  mutating func reported(_ answer: TransferOutcome, to transfer: Transfer, at now: Instant) {
    let outcome = Self.fits(answer, transfer.request) ? answer : .retryable("strange", after: nil)
    switch outcome {
    case .stored(_, _, let bytes):
      limitedBytes += bytes
      succeeded(transfer, now)
    case .runStored(let chunks, _):
      limitedBytes += chunks.reduce(0) { $0 + SimulatedFile.byteCount(of: $1.digest) }
      succeeded(transfer, now)
    case .recordingsStored(let recordings):
      limitedBytes += recordings.reduce(0) { $0 + $1.bytes }
      if !recordings.isEmpty { succeeded(transfer, now) }
    case .announced, .completed, .advanced: succeeded(transfer, now)
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
    case .unreachable, .unreadable, .notHere, .corrupted: failed(transfer, now)
    // Of bytes that have changed since it is a failure like others, and begins a rest.
    case .rejected: if let session = transfer.request.session { rests(session, transfer, now) }
    case .incomplete, .superseded, .sessionUnknown, .rolledBack, .stale, .recordingsUntaken: break
    }
    count(outcome, transfer.request)
  }

  /// Whether this is an answer to that at all; if not, it must count as a failure.
  private static func fits(_ answer: TransferOutcome, _ request: UploadRequest) -> Bool {
    switch (request, answer) {
    case (.chunk, .stored), (.announce, .announced), (.complete, .completed), (.complete, .incomplete), (.probe, .reachable):
      true
    case (.chunk, .superseded(let current)): current <= UploadScheduler.versionMax
    case (.recordings, .recordingsStored), (.recordings, .recordingsUntaken): true
    case (_, .recordingsStored), (_, .recordingsUntaken): false
    case (_, .stored), (_, .announced), (_, .completed), (_, .incomplete), (_, .reachable), (_, .superseded): false
    case (.probe, .sessionUnknown), (.probe, .stale): false
    default: true
    }
  }

  /// The spool gave an outcome instead of a payload.
  mutating func unread(_ outcome: TransferOutcome, _ request: UploadRequest, at now: Instant) {
    count(outcome, request)
    if case .unreadable = outcome, let session = request.session { unansweredAt[session] = now }
  }

  /// Every outcome, those that the spool gives instead of a payload too.
  mutating func count(_ outcome: TransferOutcome, _ request: UploadRequest) {
    guard let session = request.session else { return }
    switch outcome {
    case .stored, .announced, .runStored, .advanced:
      failures[session] = 0
      for index in request.chunks { givenUpAt[ChunkID(session, index)] = nil }
    case .completed:
      failures[session] = 0
      detours[session] = 0
    case .incomplete, .superseded, .sessionUnknown, .rolledBack: detours[session, default: 0] += 1
    default: failures[session, default: 0] += 1
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

  mutating func moved(_ id: TransferID, at now: Instant) { movedAt[id] = now }

  /// A chunk may be given up once before the configured time, by what is known of the link; whoever answers late must be
  /// heard the next time.
  private mutating func checkPatience(with transfer: Transfer, policy: UploadPolicy, at now: Instant) {
    guard turnsOfForce == 0, let session = transfer.request.session, let moved = movedAt[transfer.id],
      now < moved + policy.uploadTimeout
    else { return }
    for index in transfer.request.chunks {
      let chunk = ChunkID(session, index)
      if let before = givenUpAt[chunk], now < before + .seconds(600) {
        fail("I5", "chunk \(index) of \(session.number) was given up early twice")
      }
      givenUpAt[chunk] = now
    }
  }

  /// - Parameter isDeleted: its recording is, and not the link to blame.
  mutating func cancelled(_ transfer: Transfer, isDeleted: Bool, policy: UploadPolicy, at now: Instant) {
    if !isDeleted { checkPatience(with: transfer, policy: policy, at: now) }
    if let session = transfer.request.session { unansweredAt[session] = now }
    // A probe without an answer for its time is one that failed; or a refusal overtook it, which is told as well.
    if transfer.request == .probe { failed(transfer, now) }
    count(.retryable("", after: nil), transfer.request)
  }

  mutating func commanded(_ command: ControlCommand, at now: Instant) {
    somethingDone(now)
    isPaused = false
    switch command {
    case .processUploads(_, let force):
      if force { turnsOfForce = 2 }
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
    isPaused = false
    held = []
    isBack = false
    lastStarted = 0
    startedAt = [:]
    movedAt = [:]
    givenUpAt = [:]
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
    if let session = transfer.request.session {
      failedAt[session] = nil
      unansweredAt[session] = nil
    }
  }

  private mutating func failed(_ transfer: Transfer, _ now: Instant) {
    isBack = false
    // What was sent whole goes the longer way at once.
    if case .recordings = transfer.request { return }
    guard let session = transfer.request.session else {
      // The network was to blame.
      isAway = true
      return pardon()
    }
    rests(session, transfer, now)
  }

  private mutating func rests(_ session: SessionID, _ transfer: Transfer, _ now: Instant) {
    // What was on its way then belongs to that burst, whose rest has begun.
    let burst = unansweredAt[session].flatMap { moment in startedAt[transfer.id].map { $0 <= moment } == true ? moment : nil }
    if failedAt[session] == nil { failedAt[session] = burst ?? now }
  }

  private mutating func pardon() {
    failedAt = [:]
    unansweredAt = [:]
  }
}

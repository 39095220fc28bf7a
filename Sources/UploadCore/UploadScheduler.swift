import HeapModule
package import UploadProtocol

/// Decides what is sent when. A value without clock, files or network: events and the time go in, effects come out, the
/// same ones in every process.
///
/// Rules, in the order in which they bind:
/// 1. connection: nothing but one probe at a time while the destination is away (`UploadScheduler+Connection`);
/// 2. limits: at most `policy.parallel` requests in flight, `limit` bytes a second, and with `syncEvery` only in rounds;
/// 3. order: priority, then recordings still open, then fair shares; the lowest chunk first (`FairQueue`);
/// 4. a chunk in flight is leased: it is neither pending nor forgotten. A chunk that changes meanwhile keeps its lease
///    as *stale*: the attempt runs to its end (a chunk rewritten faster than the link carries it would otherwise never
///    arrive in any version) but its answer records nothing, and only then is the new version sent.
public struct UploadScheduler: Sendable {
  var policy: UploadPolicy
  var generator: SplitMix64
  /// The latest moment anybody told; time never goes back.
  var now = Instant(nanoseconds: Int64.min / 4)
  var effects: [UploadEffect] = []

  /// Sessions with something left to do, and those that may have: a finished and synced one is forgotten, so that a
  /// year of recordings costs no memory. Its spool introduces it before it tells of it again.
  var sessions: [SessionID: SessionEntry] = [:]
  /// Sessions that may be settled since `forgetSettled` was last called.
  var perhapsSettled: [SessionID] = []
  var queue = FairQueue()
  /// When delayed sessions wake. A ticket whose moment is not the session's `notBefore` any more means nothing.
  var delays = Heap<DelayTicket>()

  /// Requests that have ended, for those who count.
  var attempts: [UploadAttempt] = []
  /// At most `policy.parallel`, in the order of starting.
  var transfers: [InFlight] = []
  var nextTransfer: UInt64 = 1

  var connection = Connection()
  var silences = StallTimeout()
  var limiter: RateLimiter
  var rounds: Rounds
  var isPausedByUser = false
  /// The destination has said that it takes no whole recordings; until the uploader's next start.
  var refusesRecordings = false
  /// The connection is paid by the byte, and it is not to be used then.
  var isOnMeter = false
  /// Last error of sessions that rest; at most `troubledMax`.
  var troubled: [SessionID: String] = [:]
  /// Bounds what each turn publishes; a person reads a dozen.
  static let troubledMax = 1_000

  public init(policy: UploadPolicy, generator: SplitMix64) {
    precondition(policy.parallel > 0, "a scheduler without a request in flight sends nothing")
    self.policy = policy
    self.generator = generator
    limiter = RateLimiter(bytesPerSecond: policy.bytesPerSecondMax)
    rounds = Rounds(every: policy.syncEvery)
    // What the destination takes is asked first.
    if policy.geometry == .undiscovered { connection.state = .suspect }
  }

  /// Takes one event and says what to do about it.
  public mutating func handle(_ event: UploadEvent, at now: Instant) -> [UploadEffect] {
    handle(CollectionOfOne(event), at: now)
  }

  /// Takes what happened since the last call, in order, and then decides once: nothing is started that a later event of
  /// the batch forbids, and no attempt counts as stalled whose progress is told in the batch. Ask again at `deadline`
  /// (`.timePassed`) at the latest.
  public mutating func handle(_ events: some Sequence<UploadEvent>, at now: Instant) -> [UploadEffect] {
    self.now = max(self.now, now)
    silences.roll(to: self.now)
    skipRounds()
    for event in events { take(event) }
    cancelStalled()
    wakeDelayed()
    beginRound()
    startProbe()
    startTransfers()
    if transfers.count < connection.window.size { connection.window.isNotFull() }
    endRound()
    defer { effects = [] }
    return effects
  }

  private mutating func take(_ event: UploadEvent) {
    switch event {
    case .registered(let session, let facts): registered(session, facts)
    case .restored(let session, let restored): self.restored(session, restored)
    case .introduced(let session, let restored): introduced(session, restored)
    case .opened(let session): opened(session)
    case .sealed(let chunk, let version, let bytes): sealed(chunk, version, bytes: bytes)
    case .reopened(let chunk): reopened(chunk)
    case .truncated(let session, let chunkCount, let base): truncated(session, chunkCount: chunkCount, base: base)
    case .renamed(let session, let facts): renamed(session, facts)
    case .finished(let session, let size): finished(session, size: size)
    case .removed(let session): removed(session)
    case .stalled(let session, let seconds): effects.append(.announce(.recordingStalled(session, seconds: seconds)))
    case .progressed(let id, _): progressed(id)
    case .discovered(let geometry): discovered(geometry)
    case .transferred(let id, let outcome): ended(id, outcome)
    case .control(let command): control(command)
    case .networkChanged: networkChanged()
    case .timePassed: break
    }
    if let session = event.session { introductionEnds(session) }
  }

  /// What was introduced for this event has had it.
  private mutating func introductionEnds(_ session: SessionID) {
    guard let entry = sessions[session] else { return }
    if entry.isIntroduced { sessions[session]?.isIntroduced = false }
    if entry.isSynced { perhapsSettled.append(session) }
  }

  /// Forgets sessions that have nothing left to do. Only when the journal holds every fact so far: whoever introduces one
  /// of them again reads it there.
  package mutating func forgetSettled() {
    for session in perhapsSettled where sessions[session]?.isSettled == true {
      sessions[session] = nil
      troubled[session] = nil
      queue.forget(session)
    }
    perhapsSettled = []
  }

  /// The earliest moment at which `.timePassed` changes something; nil: only an event does.
  public var deadline: Instant? {
    var moments: [Instant] = transfers.map { stallMoment(of: $0) }
    if let delay = delays.min { moments.append(delay.moment) }
    if !isPaused, rounds.isOpen, connection.probe == nil, let probe = connection.nextProbe { moments.append(probe) }
    if let round = roundDeadline { moments.append(round) }
    if maySend, !queue.isEmpty, transfers.count < connection.window.size, chunksCarried < Self.chunksCarriedMax {
      moments.append(max(now, connection.notBefore ?? now, limiter.nextStart ?? now, connection.spacing.nextStart ?? now))
    }
    return moments.min()
  }

  public var summary: UploadSummary {
    var summary = UploadSummary(
      connection: connection.visibleState, isPausedByUser: isPausedByUser, isOnMeter: isOnMeter, inFlight: transfers.count,
      bytesPerSecondMax: limiter.bytesPerSecond, nextRound: rounds.isOpen ? nil : rounds.next, syncEvery: rounds.every,
      troubled: troubled)
    summary.window = connection.window.size
    summary.stallTimeout = stallTimeout
    summary.spacing = connection.spacing.room
    for transfer in transfers {
      if case .recordings(let batch) = transfer.request { summary.sending += batch.map { ChunkID($0, 0) } }
      guard let session = transfer.request.session else { continue }
      summary.sending += transfer.request.chunks.map { ChunkID(session, $0) }
    }
    return summary
  }

  // What tests and the simulation may see.
  package var pendingChunks: Int { sessions.values.reduce(0) { $0 + $1.pending.count } }
  package func pending(of session: SessionID) -> PendingRanges? { sessions[session]?.pending }
  /// Whether `chunk` will be sent some time: pending, or leased.
  package func knows(_ chunk: ChunkID) -> Bool {
    sessions[chunk.session]?.pending.contains(chunk.index) == true || lease(of: chunk) != nil
  }
  package func retryMoment(of session: SessionID) -> Instant? { sessions[session]?.notBefore }
  package func failures(of session: SessionID) -> Int { sessions[session]?.failures ?? 0 }
  /// Sessions it has in memory.
  package var sessionCount: Int { sessions.count }
  package var isProbing: Bool { connection.probe != nil }

  /// Attempts that are under way.
  package var inFlight: [TransferID] { transfers.map(\.id) }

  /// Neither paused, nor between rounds, nor offline, nor in doubt.
  var maySend: Bool { !isPaused && rounds.isOpen && connection.state == .online }
  var isPaused: Bool { isPausedByUser || isOnMeter }
}

/// One request on its way.
struct InFlight: Sendable {
  let id: TransferID
  let request: UploadRequest
  let started: Instant
  var lastProgress: Instant
  /// Of its session, in a row.
  var failuresBefore = 0
  /// It carries a chunk of an attempt that stalled.
  var wasGivenUp = false
  /// Bytes charged to the limit.
  var charged = 0
  /// `SessionEntry.announcements` when it started.
  var announcements = 0
  /// Chunks of it that changed since: the answer counts for nothing to them.
  var stale: Set<Int> = []
  /// Those of them that are sealed again: sent when this attempt has ended.
  var sealedAgain: Set<Int> = []

  var isStale: Bool { !stale.isEmpty }
  var isSealedAgain: Bool { !sealedAgain.isEmpty }
}

struct DelayTicket: Comparable, Sendable {
  let moment: Instant
  let session: SessionID

  static func < (left: DelayTicket, right: DelayTicket) -> Bool {
    (left.moment, left.session) < (right.moment, right.session)
  }
}

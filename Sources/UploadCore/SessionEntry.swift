import UploadProtocol

/// What the scheduler knows of one session.
struct SessionEntry: Sendable {
  var facts: SessionFacts
  /// Sealed, not stored, not in flight.
  var pending = PendingRanges()
  /// Plans runs, where the destination does not take single chunks.
  var planner: RunPlanner?
  /// Known at the destination under `facts`.
  var isAnnounced = false
  /// It could not be completed without an announcement: something of it was begun at the destination.
  var mustBeAnnounced = false
  /// Nothing of it was begun at the destination, as far as is known: it may be sent whole.
  var isFresh: Bool
  /// How often it has been.
  var wholeAttempts = 0
  /// Bytes when it was last finished.
  var size: Int64?
  /// A writer has it open.
  var isOpen = false
  var isFinished = false {
    didSet { planner?.finished(isFinished, pending) }
  }
  /// Whole at the destination, as it is now.
  var isSynced = false
  /// The destination's words when it refused the session.
  var failure: String?
  var priority = UploadPriority.normal
  var isHeld = false
  /// Its spool has told of it because an event about it follows.
  var isIntroduced = false

  /// The announcement or completion in flight; never both.
  var conversation: TransferID?
  /// The session was renamed since `conversation` started: an announcement counts for nothing, a completion neither.
  var isRenamed = false
  /// Its content changed since `conversation` started: a completion counts for nothing.
  var isChanged = false
  var chunksInFlight = 0
  /// Answered announcements: a "session unknown" to a request from before the last one is old news.
  var announcements = 0

  /// In a row, one burst of failures counting once.
  var failures = 0
  /// Transfers below this number had started when the last failure was counted.
  var failureMark: UInt64 = 0
  /// Nothing is started before.
  var notBefore: Instant?
  /// Damaged arrivals in a row.
  var corruptions = 0
  /// Answers in a row that were no failure and still stored nothing: superseded, session unknown.
  var detours = 0
  /// Completions in a row that found chunks missing, without getting further.
  var incompletions = 0
  /// The lowest chunk that the last completion found missing.
  var lowestMissing = -1

  /// Chunks taken so far, and where the sweep through all of them stands.
  private var taken = 0
  private var sweep = 0

  init(facts: SessionFacts, _ geometry: TransferGeometry) {
    self.facts = facts
    isFresh = true
    if geometry != .chunks { planner = RunPlanner(geometry) }
  }

  init(_ restored: RestoredSession, _ geometry: TransferGeometry) {
    facts = restored.facts
    isFresh = !restored.isAnnounced && !restored.isSynced
    size = restored.size
    pending = PendingRanges(restored.pending)
    if geometry != .chunks {
      planner = RunPlanner(geometry, sealed: restored.sealed, isFinished: restored.isFinished, pending: pending)
    }
    isAnnounced = restored.isAnnounced
    isFinished = restored.isFinished
    isSynced = restored.isSynced
    failure = restored.failure
    priority = restored.priority
    isHeld = restored.isHeld
  }

  var mayWork: Bool { failure == nil && !isHeld && notBefore == nil }

  enum Work: Equatable { case announcement, chunk, run(Range<Int>), completion, whole }

  /// What this session would send now; nil: nothing, or it must not.
  /// - Parameter wholeBytesMax: of a recording that travels whole; 0: none does.
  func work(wholeBytesMax: Int) -> Work? {
    guard mayWork else { return nil }
    if let planner { return work(by: planner) }
    guard isAnnounced else { return conversation == nil ? beginning(wholeBytesMax) : nil }
    guard pending.isEmpty else { return .chunk }
    let isDone = isFinished && !isSynced && chunksInFlight == 0 && conversation == nil
    return isDone ? .completion : nil
  }

  /// How to begin with a session that the destination does not know. One that may yet travel whole is not announced before
  /// there is something to send, or nothing more will come.
  private func beginning(_ wholeBytesMax: Int) -> Work? {
    guard wholeBytesMax > 0, isFresh else { return .announcement }
    guard isFinished else { return pending.isEmpty ? nil : .announcement }
    return isWhole(bytesMax: wholeBytesMax) ? .whole : .announcement
  }

  private func isWhole(bytesMax: Int) -> Bool {
    guard let size, 1...Int64(bytesMax) ~= size else { return false }
    return !isSynced && chunksInFlight == 0 && pending.count == 1 && pending.first == 0
  }

  private func work(by planner: RunPlanner) -> Work? {
    guard planner.geometry != .undiscovered else { return nil }
    let mayComplete = isFinished && !isSynced && chunksInFlight == 0 && conversation == nil
    // Small, and nothing of it has been begun, as far as is known: no announcement is worth its round trip.
    if planner.fitsIntoCompletion, !isAnnounced, !isSynced, !mustBeAnnounced { return mayComplete ? .completion : nil }
    let run = planner.next(pending)
    let isAllThatIsLeft = pending.first(from: planner.chunksOfCompletion) == nil
    if !isAnnounced {
      let isWorthIt = run != nil || isSynced || (mayComplete && isAllThatIsLeft)
      return isWorthIt && conversation == nil ? .announcement : nil
    }
    if let run { return conversation == nil ? .run(run) : nil }
    return mayComplete && isAllThatIsLeft ? .completion : nil
  }

  /// Nothing of it is left to do, and the journal knows all of it: it can be forgotten until its spool introduces it again.
  var isSettled: Bool {
    isSynced && isAnnounced && isFinished && !isOpen && !isIntroduced && failure == nil && pending.isEmpty
      && chunksInFlight == 0 && conversation == nil && notBefore == nil
  }

  /// Active recordings before finished ones of the same priority.
  var lane: Int { (UploadPriority.high.rawValue - priority.rawValue) * 2 + (isOpen ? 0 : 1) }

  /// One chunk in eight comes from a sweep through all pending ones: chunks at the front that are rewritten faster than
  /// the link carries them cannot keep the rest at home.
  static let turnsPerSweep = 8

  /// Takes the chunk to send next out of `pending`: the lowest, or the sweep's.
  mutating func takeChunk() -> Int? {
    guard let lowest = pending.first else { return nil }
    taken += 1
    var index = lowest
    if taken % Self.turnsPerSweep == 0 {
      index = pending.first(from: sweep) ?? lowest
      sweep = index + 1
    }
    pending.remove(index)
    return index
  }

  /// Takes all of `run` out of `pending`.
  mutating func takeRun(_ run: Range<Int>) {
    for index in run { pending.remove(index) }
    planner?.leased(run, pending)
  }

  /// The run has ended, one way or the other.
  mutating func releaseRun(_ run: Range<Int>) { planner?.released(run, pending) }

  /// These chunks wait (again).
  mutating func putBack(_ chunks: Range<Int>) {
    pending.insert(chunks)
    planner?.changed(chunks, pending)
  }

  /// Chunk `index` is sealed.
  /// - Parameter isOnItsWay: an older version of it is, and its end is awaited first.
  mutating func sealed(_ index: Int, isOnItsWay: Bool) {
    if !isOnItsWay { pending.insert(index) }
    planner?.sealed(index, pending)
  }

  mutating func reopened(_ index: Int) {
    isFinished = false
    pending.remove(index)
    planner?.reopened(index, pending)
  }

  mutating func truncated(to count: Int) {
    isFinished = false
    pending.removeAll(from: count)
    planner?.truncated(to: count, pending)
  }

  /// Nothing that was sent of this recording as a whole is true any more.
  mutating func contentChanged() {
    isSynced = false
    isChanged = true
    incompletions = 0
    lowestMissing = -1
  }
}

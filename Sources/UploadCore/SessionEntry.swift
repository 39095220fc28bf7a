import UploadProtocol

/// What the scheduler knows of one session.
struct SessionEntry: Sendable {
  var facts: SessionFacts
  /// Sealed, not stored, not in flight.
  var pending = PendingRanges()
  /// Known at the destination under `facts`.
  var isAnnounced = false
  /// A writer has it open.
  var isOpen = false
  var isFinished = false
  /// Whole at the destination, as it is now.
  var isSynced = false
  /// The destination's words when it refused the session.
  var failure: String?
  var priority = UploadPriority.normal
  var isHeld = false

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

  init(facts: SessionFacts) { self.facts = facts }

  init(_ restored: RestoredSession) {
    facts = restored.facts
    pending = PendingRanges(restored.pending)
    isAnnounced = restored.isAnnounced
    isFinished = restored.isFinished
    isSynced = restored.isSynced
    failure = restored.failure
    priority = restored.priority
    isHeld = restored.isHeld
  }

  enum Work { case announcement, chunk, completion }

  /// What this session would send now; nil: nothing, or it must not.
  var work: Work? {
    guard failure == nil, !isHeld, notBefore == nil else { return nil }
    guard isAnnounced else { return conversation == nil ? .announcement : nil }
    guard pending.isEmpty else { return .chunk }
    let isDone = isFinished && !isSynced && chunksInFlight == 0 && conversation == nil
    return isDone ? .completion : nil
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

  /// Nothing that was sent of this recording as a whole is true any more.
  mutating func contentChanged() {
    isSynced = false
    isChanged = true
    incompletions = 0
    lowestMissing = -1
  }
}

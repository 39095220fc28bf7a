import UploadCore
import UploadProtocol

/// Watches the invariants of the design while a simulation runs; keeps the first that is broken.
///
/// - I1 once faults stop and time passes: remote bytes = local bytes, for every recording.
/// - I2 the journal says stored ⇒ the destination has that version with that digest. What was evicted is never lost.
/// - I3 status never claims more than the journal.
/// - I4 in flight ≤ limit; buffers ≤ budget; no turn without progress.
/// - I5 delays within the policy; one probe at a time while the destination is away; no herd when it is back.
/// - I6 after healing everything settles within minutes; no chunk starves.
/// - I7 nothing the network does makes a write fail or wait, unless it changes evicted bytes.
struct Checker {
  private(set) var violation: String?
  /// The loop slept without deadline while nothing was on the agenda.
  var sleptForEver = false
  /// The loop keeps facts that the journal did not take.
  var journalLags = false
  /// Sessions of which the receiver lost something it had acknowledged: a fault beyond I2, mended by completion.
  var forgetful: Set<SessionID> = []

  var idlePolls = 0
  /// Starts since anything succeeded or anybody did something, and since when.
  var futileStarts = 0
  var futileSince = Instant(nanoseconds: 0)
  /// A probe failed, and none was answered since.
  var isAway = false
  /// Somebody paused all, the uploader has said so, and nobody has given it another command since.
  var isPaused = false
  /// Sessions that this process has journaled as held back, and not as released since.
  var held: Set<SessionID> = []
  /// The first failure of a session since its last start, success or pardon.
  var failedAt: [SessionID: Instant] = [:]
  /// When an attempt of a session ended last without an answer: the spool could not read it, or it was given up.
  var unansweredAt: [SessionID: Instant] = [:]
  /// Of every request of this process.
  var startedAt: [TransferID: Instant] = [:]
  /// When bytes of a request moved last.
  var movedAt: [TransferID: Instant] = [:]
  /// Chunks whose attempt was given up before the configured time, not stored since, and when that was.
  var givenUpAt: [ChunkID: Instant] = [:]
  /// So many turns from now on requests are ended because somebody asked for it.
  var turnsOfForce = 0
  /// Failures since the last success of a session, and answers since its last completion that led nowhere: what its
  /// delay may be worth.
  var failures: [SessionID: Int] = [:]
  var detours: [SessionID: Int] = [:]
  /// The destination is back, and has not answered a request since: one at a time.
  var isBack = false
  var lastBeforeBack: Int64 = 0
  var lastStarted: Int64 = 0
  var notBefore = Instant(nanoseconds: 0)
  var limit: Int?
  var limitSince = Instant(nanoseconds: 0)
  var limitedBytes = 0
  /// The destination takes bytes in their order only.
  var isAppending = false
  /// The longest request.
  var runBytes = ChunkLayout.chunkBytes
  /// What was sent as which version.
  var sent: [ChunkID: (version: ChunkVersion, digest: ChunkDigest)] = [:]

  mutating func fail(_ invariant: String, _ text: String) {
    if violation == nil { violation = "\(invariant): \(text)" }
  }
}

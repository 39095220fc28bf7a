public import UploadProtocol

/// One request that has ended, for those who count. Probes are none.
public struct UploadAttempt: Sendable, Equatable {
  /// Of a request with several, the first.
  public let session: SessionID
  public let ending: Ending
  /// Chunks that it carried.
  public let chunks: Int
  /// Bytes that the destination gave a receipt for; of a run, those of whole chunks.
  public let bytes: Int
  /// From its start, which is after the facts before it were journaled, to its end.
  public let duration: Span
  /// Failures of its session in a row before it; more than 0: it was a retry.
  public let failuresBefore: Int
  /// Why it failed, in the words that people are told.
  public let message: String?

  /// What became of it. The raw values are labels of `.status/metrics` and words of `reelfs report`.
  public enum Ending: String, Sendable, CaseIterable {
    /// A receipt for chunks.
    case stored
    case announced, completed
    /// One step of several is done.
    case advanced
    /// The destination named chunks that it lacks.
    case incomplete
    /// It holds another version, does not know the session, or lost what it had.
    case superseded
    case unknown = "session_unknown"
    case rolledBack = "rolled_back"
    case unreachable
    /// A passing fault there.
    case failed
    /// No byte moved for the timeout.
    case stalled
    case throttled, blocked, rejected, corrupted
    /// It could not be read here, or had changed before it was.
    case unreadable, stale
    /// Ended from this side: forced, or its recording is gone.
    case cancelled
  }

  public init(
    session: SessionID, ending: Ending, chunks: Int, bytes: Int, duration: Span, failuresBefore: Int, message: String?
  ) {
    self.session = session
    self.ending = ending
    self.chunks = chunks
    self.bytes = bytes
    self.duration = duration
    self.failuresBefore = failuresBefore
    self.message = message
  }
}

extension UploadAttempt.Ending {
  /// It led nowhere, and what it carried is sent again or given up.
  public var isFailure: Bool {
    switch self {
    case .unreachable, .failed, .stalled, .throttled, .blocked, .rejected, .corrupted, .unreadable: true
    case .stored, .announced, .completed, .advanced, .incomplete, .superseded, .unknown, .rolledBack, .stale, .cancelled: false
    }
  }

  /// The destination said something.
  var isAnswer: Bool {
    switch self {
    case .stored, .announced, .completed, .advanced, .incomplete, .superseded, .unknown, .rolledBack, .failed, .throttled,
      .blocked, .rejected, .corrupted: true
    case .unreachable, .stalled, .unreadable, .stale, .cancelled: false
    }
  }

  init(_ outcome: TransferOutcome) {
    self =
      switch outcome {
      case .stored, .runStored: .stored
      case .recordingsStored(let stored): stored.isEmpty ? .superseded : .stored
      case .recordingsUntaken: .superseded
      case .advanced: .advanced
      case .rolledBack: .rolledBack
      case .announced: .announced
      case .completed: .completed
      case .incomplete: .incomplete
      case .superseded: .superseded
      case .sessionUnknown: .unknown
      case .unreachable: .unreachable
      // Reachable is an answer to probes only.
      case .retryable, .reachable: .failed
      case .throttled: .throttled
      case .blocked: .blocked
      case .rejected: .rejected
      case .corrupted: .corrupted
      case .unreadable, .notHere: .unreadable
      case .stale: .stale
      }
  }
}

extension TransferOutcome {
  var message: String? {
    switch self {
    case .unreachable(let message), .retryable(let message, _), .throttled(let message, _), .blocked(_, let message),
      .rejected(let message), .corrupted(let message), .unreadable(let message), .notHere(let message): message
    case .stored, .runStored, .advanced, .rolledBack, .announced, .completed, .incomplete, .superseded, .sessionUnknown,
      .reachable, .stale, .recordingsStored, .recordingsUntaken: nil
    }
  }

  fileprivate var chunksStored: Int {
    switch self {
    case .stored: 1
    case .runStored(let chunks, _): chunks.count
    case .recordingsStored(let recordings): recordings.count
    default: 0
    }
  }
}

extension UploadScheduler {
  /// Attempts that ended and that nobody has asked for yet are kept up to here; a loop takes them every turn.
  private static let attemptsMax = 4_096

  /// - Returns: the attempt; nil for a probe.
  @discardableResult
  mutating func count(
    _ transfer: InFlight, _ ending: UploadAttempt.Ending, _ outcome: TransferOutcome? = nil
  ) -> UploadAttempt? {
    guard let session = transfer.request.sessions.first else { return nil }
    let stored = outcome?.chunksStored ?? 0
    var bytes = stored * ChunkLayout.chunkBytes
    switch outcome {
    case .stored(_, _, let exact): bytes = exact
    case .recordingsStored(let recordings): bytes = recordings.reduce(0) { $0 + $1.bytes }
    default: break
    }
    let attempt = UploadAttempt(
      session: session, ending: ending, chunks: max(stored, transfer.request.chunks.count), bytes: bytes,
      duration: now - transfer.started, failuresBefore: transfer.failuresBefore, message: outcome?.message)
    if attempts.count < Self.attemptsMax { attempts.append(attempt) }
    return attempt
  }

  /// What has ended since the last call.
  package mutating func takeAttempts() -> [UploadAttempt] {
    defer { attempts = [] }
    return attempts
  }
}

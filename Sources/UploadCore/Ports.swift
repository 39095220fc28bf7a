public import UploadProtocol

// What the uploader needs from the world. Production and simulation each implement these.

public protocol MonotonicClock: Sendable {
  var now: Instant { get }
}

/// Remembers facts over a crash. Called on the uploader thread only.
public protocol UploadJournal {
  /// All facts in one transaction, or none. After an error the loop keeps them and tries again.
  mutating func record(_ facts: [JournalFact]) throws(JournalError)
}

/// Why the journal could not take facts; the loop starts no transfer until it can.
public struct JournalError: Error, Equatable, Sendable {
  public let message: String
  public let kind: Kind

  public enum Kind: Sendable {
    /// Its disk has no space left.
    case full
    /// Its disk cannot be read or written now; nothing says that the journal is damaged.
    case disk
    case other
  }

  public init(_ message: String, _ kind: Kind = .other) { (self.message, self.kind) = (message, kind) }
}

/// Turns a request into what is sent, at the moment it is sent. Called on the uploader thread only.
public protocol TransferSource {
  /// Bytes, digest and headers of one request; opaque to the core.
  associatedtype Payload
  /// - Returns: the payload, or the outcome that stands for its absence (`.stale`, `.unreadable`).
  mutating func load(_ request: UploadRequest) -> LoadedTransfer<Payload>
}

public enum LoadedTransfer<Payload> {
  case payload(Payload)
  case outcome(TransferOutcome)
}

/// Carries requests to the destination. Called on the uploader thread only.
public protocol UploadTransport {
  associatedtype Payload
  mutating func start(_ transfer: Transfer, _ payload: Payload)
  /// The transfer's buffer is free at return, and no outcome of it is reported afterwards.
  mutating func cancel(_ id: TransferID)
  /// Waits for something to report, for `wake()` from any thread, or until `deadline` (nil: for ever); then returns
  /// what happened, possibly nothing. `deadline` in the past: returns at once.
  mutating func poll(until deadline: Instant?) -> [UploadEvent]
}

/// Where events from other threads wait for the next turn. Called on the uploader thread only.
public protocol EventInbox {
  /// Everything posted since the last call, in order. Also seals what has been quiet long enough.
  mutating func drain(now: Instant) -> [UploadEvent]
  /// When `drain` will have something to say without anybody posting; nil: never.
  var deadline: Instant? { get }
}

/// Receives notices and the connection's state after each turn. Called on the uploader thread only.
public protocol StatusSink {
  /// - Parameter attempts: that have ended in this turn, recorded or not.
  mutating func publish(_ notices: [UploadNotice], _ attempts: [UploadAttempt], _ summary: UploadSummary)
}

/// The state of the uploader as a whole.
public struct UploadSummary: Sendable, Equatable {
  public var connection: ConnectionState
  public var isPausedByUser: Bool
  /// Paused because the connection is metered.
  public var isOnMeter: Bool
  public var inFlight: Int
  /// Requests that may be in flight now, at most `policy.parallel`.
  public var window = 1
  /// For so long a transfer of chunks may move no byte now, at most `policy.uploadTimeout`.
  public var stallTimeout = Span.zero
  /// Between the starts of two requests, after the destination refused some; nil: none.
  public var spacing: Span?
  /// Chunks on their way; as many as the transfers carry.
  public var sending: [ChunkID] = []
  public var bytesPerSecondMax: Int?
  /// When the next round of periodic sync begins; nil: without rounds, or in one. May be over if nothing waited for it.
  public var nextRound: Instant?
  public var syncEvery: Span?
  /// Sessions with a retry delay, and the last error of each, for the status of those sessions; at most 1,000.
  public var troubled: [SessionID: String]
  /// Set while the journal cannot be written; nothing is sent then.
  public var journalError: String?

  public init(
    connection: ConnectionState = .online, isPausedByUser: Bool = false, isOnMeter: Bool = false, inFlight: Int = 0,
    bytesPerSecondMax: Int? = nil, nextRound: Instant? = nil, syncEvery: Span? = nil,
    troubled: [SessionID: String] = [:], journalError: String? = nil
  ) {
    self.connection = connection
    self.isPausedByUser = isPausedByUser
    self.isOnMeter = isOnMeter
    self.inFlight = inFlight
    self.bytesPerSecondMax = bytesPerSecondMax
    self.nextRound = nextRound
    self.syncEvery = syncEvery
    self.troubled = troubled
    self.journalError = journalError
  }
}

extension UploadSummary {
  /// When the next round begins, as of `now`: rounds that nobody needed are left out without a turn of the loop.
  public func nextRound(after now: Instant) -> Instant? {
    guard let nextRound, let syncEvery, nextRound <= now else { return nextRound }
    return nextRound + Span(nanoseconds: ((now - nextRound).nanoseconds / syncEvery.nanoseconds + 1) * syncEvery.nanoseconds)
  }
}

public enum ConnectionState: Sendable, Equatable {
  case online
  case offline(String)
  case blocked(BlockReason, String)
}

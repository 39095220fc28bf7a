public import UploadProtocol

/// What is sent for one request to a destination that takes other pieces than chunks.
public enum ExchangePayload: Sendable {
  case probe
  case exchange(SessionExchange)
}

/// All that a request of one session may need, where the destination's own rules decide what that is. Journal and spool
/// are asked when the closures are called: only within `UploadTransport.start`.
public struct SessionExchange: Sendable {
  /// `.announce`, `.run` or `.complete`.
  public let request: UploadRequest
  public let announcement: SessionAnnouncement
  /// Of the content, as journaled when this was made; versions read later are of this revision or newer.
  public let revision: Int64
  /// Bytes of the recording when it was last closed.
  public let size: Int64
  public let isFinished: Bool
  /// Nothing of the content has changed since it was completed; its name or attributes may have.
  public let isSynced: Bool
  /// What the destination told earlier (`RemoteFact`), by name.
  public let remote: [String: String]
  /// The chunks of a range as the journal has them, ascending; those it does not know are left out.
  public let rows: @Sendable (Range<Int>) throws(SourceError) -> [ChunkRow]
  /// A snapshot of the bytes of neighbouring chunks, with the version and digest of each. At most a run's worth.
  public let read: @Sendable (Range<Int>) throws(SourceError) -> RunSnapshot

  public init(
    request: UploadRequest, announcement: SessionAnnouncement, revision: Int64, size: Int64, isFinished: Bool,
    isSynced: Bool = false, remote: [String: String], rows: @escaping @Sendable (Range<Int>) throws(SourceError) -> [ChunkRow],
    read: @escaping @Sendable (Range<Int>) throws(SourceError) -> RunSnapshot
  ) {
    self.request = request
    self.announcement = announcement
    self.revision = revision
    self.size = size
    self.isFinished = isFinished
    self.isSynced = isSynced
    self.remote = remote
    self.rows = rows
    self.read = read
  }
}

/// One chunk as the journal has it.
public struct ChunkRow: Sendable, Equatable {
  public enum State: Int, Sendable {
    case open = 0
    case sealed = 1
    case stored = 2
    case evicted = 3
  }

  public let index: Int
  public let version: ChunkVersion
  public let state: State
  public let bytes: Int
  /// Set once stored.
  public let digest: ChunkDigest?

  public init(index: Int, version: ChunkVersion, state: State, bytes: Int, digest: ChunkDigest?) {
    self.index = index
    self.version = version
    self.state = state
    self.bytes = bytes
    self.digest = digest
  }
}

/// The bytes of a run, and what they are.
public struct RunSnapshot: Sendable {
  public let chunks: [StoredChunk]
  public let bytes: [UInt8]

  public init(chunks: [StoredChunk], bytes: [UInt8]) {
    self.chunks = chunks
    self.bytes = bytes
  }
}

/// Why something cannot be sent now; the outcome says what becomes of the request.
public struct SourceError: Error, Sendable, Equatable {
  public let outcome: TransferOutcome
  public init(_ outcome: TransferOutcome) { self.outcome = outcome }
}

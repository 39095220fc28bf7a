public import UploadProtocol

/// Everything the scheduler can ask for. `UploadLoop` records all facts of a turn in one transaction before it starts
/// the transfers of that turn.
public enum UploadEffect: Sendable, Equatable {
  case record(JournalFact)
  case start(Transfer)
  case cancel(TransferID)
  case announce(UploadNotice)
}

/// Names one attempt; never used twice in the life of a process.
public struct TransferID: Hashable, Comparable, Sendable {
  public let number: UInt64
  public init(_ number: UInt64) { self.number = number }
  public static func < (left: TransferID, right: TransferID) -> Bool { left.number < right.number }
}

/// One request to the destination.
public struct Transfer: Sendable, Equatable {
  public let id: TransferID
  public let request: UploadRequest
  /// Bytes a second for this transfer alone; nil: as fast as it goes.
  public let bytesPerSecondMax: Int?

  public init(id: TransferID, request: UploadRequest, bytesPerSecondMax: Int? = nil) {
    self.id = id
    self.request = request
    self.bytesPerSecondMax = bytesPerSecondMax
  }
}

public enum UploadRequest: Sendable, Hashable {
  /// Tell the destination of a session: device, path, metadata.
  case announce(SessionID)
  /// Send one chunk, as whatever version it has when it is read.
  case chunk(ChunkID)
  /// Send these chunks, as whatever versions they have when they are read, in one request.
  case run(ChunkRun)
  /// All chunks are stored, or travel with this: check the manifest and make the recording whole.
  case complete(SessionID)
  /// Announce, send and complete small recordings, each of them whole, all in one request. Not empty.
  case recordings([SessionID])
  /// Is the destination there, and does it take our credentials?
  case probe

  /// The one session that it is about; nil: several, or none.
  public var session: SessionID? {
    switch self {
    case .announce(let session), .complete(let session): session
    case .chunk(let chunk): chunk.session
    case .run(let run): run.session
    case .recordings, .probe: nil
    }
  }

  /// All sessions that it is about.
  public var sessions: [SessionID] {
    if case .recordings(let batch) = self { batch } else { session.map { [$0] } ?? [] }
  }

  /// The chunks of its one session that it carries.
  package var chunks: Range<Int> {
    switch self {
    case .chunk(let chunk): chunk.index..<chunk.index + 1
    case .run(let run): run.chunks
    case .announce, .complete, .recordings, .probe: 0..<0
    }
  }
}

/// Neighbouring chunks of one recording that travel together.
public struct ChunkRun: Sendable, Hashable {
  public let session: SessionID
  /// Not empty.
  public let chunks: Range<Int>

  public init(_ session: SessionID, _ chunks: Range<Int>) {
    self.session = session
    self.chunks = chunks
  }
}

/// One chunk of a run, as it was sent.
public struct StoredChunk: Sendable, Equatable {
  public let index: Int
  public let version: ChunkVersion
  public let digest: ChunkDigest

  public init(index: Int, version: ChunkVersion, digest: ChunkDigest) {
    self.index = index
    self.version = version
    self.digest = digest
  }
}

/// The destination's receipt for a small recording that it was sent whole: it has these very bytes as chunk 0, and the
/// recording is complete there under its name.
public struct StoredRecording: Sendable, Equatable {
  public let session: SessionID
  /// What it is called there.
  public let facts: SessionFacts
  public let version: ChunkVersion
  public let digest: ChunkDigest
  public let bytes: Int
  /// The session's, in the journal, when the bytes were read.
  public let revision: Int64

  public init(
    session: SessionID, facts: SessionFacts, version: ChunkVersion, digest: ChunkDigest, bytes: Int, revision: Int64
  ) {
    self.session = session
    self.facts = facts
    self.version = version
    self.digest = digest
    self.bytes = bytes
    self.revision = revision
  }
}

/// Something that the destination told of a session and that later requests need: an upload id, a location, an ETag. The
/// destination's own words; the journal keeps them without looking at them.
public struct RemoteFact: Sendable, Hashable {
  public let name: String
  /// nil: forget it.
  public let value: String?

  public init(_ name: String, _ value: String?) {
    self.name = name
    self.value = value
  }
}

/// How one transfer ended. Which HTTP status or network error becomes which case is one table in the transport.
public enum TransferOutcome: Sendable, Equatable {
  /// The destination's receipt for these very bytes. `bytes`: those that travelled, fewer when they were compressed.
  case stored(ChunkVersion, ChunkDigest, bytes: Int)
  /// The destination holds these chunks of the run (or of the completion) that was sent, durably.
  case runStored([StoredChunk], [RemoteFact])
  /// One step of several is done: remember this, and ask again.
  case advanced([RemoteFact])
  /// The destination holds nothing (any more) of the chunks from this index on: remember this, announce the session
  /// again, and send them again.
  case rolledBack(to: Int, [RemoteFact])
  /// Known at the destination under the path that `facts` gives.
  case announced(SessionFacts)
  /// Whole at the destination as of `revision` (the session's, in the journal, when the manifest was read).
  case completed(revision: Int64)
  /// Of the small recordings that were sent whole, these are stored and complete. The others could not be read, or were
  /// refused, each for a reason of its own: they are sent chunk by chunk, and what is wrong with them is met there.
  case recordingsStored([StoredRecording])
  /// The destination takes no whole recordings.
  case recordingsUntaken
  /// The destination lacks these chunks, or has other bytes for them.
  case incomplete(missing: [Int])
  /// The destination holds this chunk at `current` or newer, with other bytes: send it as a later version.
  case superseded(current: ChunkVersion)
  /// The destination does not know the session: announce it again and ask what it has.
  case sessionUnknown
  /// A probe was answered.
  case reachable
  /// No answer at all: refused, no route, no name, connection lost.
  case unreachable(String)
  /// A passing fault of the destination, or 60 s without a moved byte. `after` is its Retry-After, if it gave one.
  case retryable(String, after: Span?)
  /// The destination asks everybody to slow down (429, 503 with Retry-After).
  case throttled(String, after: Span?)
  /// The whole destination is of no use until a person or time mends it.
  case blocked(BlockReason, String)
  /// A permanent refusal of this session, in the server's words.
  case rejected(String)
  /// The bytes did not arrive as they were sent.
  case corrupted(String)
  /// The bytes are being fetched back to the spool, or settled otherwise: nothing was sent, nobody is at fault, ask again.
  case notHere(String)
  /// The spool could not read what was to be sent: it changed, or its disk failed.
  case unreadable(String)
  /// The chunk is open again, or gone: nothing was sent.
  case stale
}

public enum BlockReason: Sendable, Hashable {
  /// 401, 403.
  case credentials
  /// 507, 402.
  case full
  /// The destination's address is wrong, or it is another kind of server.
  case configuration
}

/// What the journal must remember. Applied in order; each is idempotent.
public enum JournalFact: Sendable, Equatable {
  case registered(SessionID, SessionFacts)
  case opened(SessionID)
  /// Ignored when the journal holds a later version of the chunk.
  case sealed(ChunkID, ChunkVersion, bytes: Int)
  /// Ignored unless the journal holds the chunk sealed as exactly this version.
  case stored(ChunkID, ChunkVersion, ChunkDigest)
  /// The destination lost it, or has other bytes: stored becomes sealed again.
  case unstored(ChunkID)
  /// The same of every chunk from `index` on whose bytes are still here.
  case rolledBack(SessionID, to: Int)
  /// What later requests need, in the destination's words.
  case remote(SessionID, RemoteFact)
  /// The destination holds `current` with other bytes: a sealed chunk becomes the version after it.
  case superseded(ChunkID, current: ChunkVersion)
  /// Every chunk from `index` on with a version below `base` is gone.
  case dropped(SessionID, from: Int, base: ChunkVersion)
  case renamed(SessionID, SessionFacts)
  case announced(SessionID, SessionFacts)
  case unannounced(SessionID)
  case finished(SessionID, size: Int64)
  /// Ignored unless the session's revision is still this one.
  case synced(SessionID, revision: Int64)
  case failed(SessionID, String)
  case failureCleared(SessionID)
  case held(SessionID, Bool)
  case prioritized(SessionID, UploadPriority)
  case removed(SessionID)
  case pausedByUser(Bool)
  /// For `reelfs report`; nothing that is sent depends on it.
  case attempted(UploadAttempt)
}

/// What people are told, in `.status/events.jsonl`.
public enum UploadNotice: Sendable, Equatable {
  case sessionRegistered(SessionID)
  case chunkUploaded(ChunkID)
  case sessionUploadComplete(SessionID)
  case uploadError(SessionID, index: Int?, String)
  case uploadPaused(String)
  case uploadResumed
  case connectionLost(String)
  case connectionRestored
  /// Open for writing, and no byte of it changed for so many seconds.
  case recordingStalled(SessionID, seconds: Int)

  /// The reason when a person paused all uploads.
  public static let pausedByUser = "paused by the user"
}

public import UploadProtocol

/// Everything that can happen to the scheduler. The spool's events come in the order in which they happened.
public enum UploadEvent: Sendable, Equatable {
  // From the spool.
  /// A recording that the journal has never seen.
  case registered(SessionID, SessionFacts)
  /// What the journal knew of a session when the uploader started; nothing of it needs recording again.
  case restored(SessionID, RestoredSession)
  /// An event about this session follows, and the scheduler may have forgotten it since it was synced: what the journal
  /// knows of it. Nothing changes if it is known.
  case introduced(SessionID, RestoredSession)
  /// A writer has the recording open: the session is active, and any finish is off.
  case opened(SessionID)
  /// Chunk `index` is complete as `version`: `bytes` long, ready to be sent.
  case sealed(ChunkID, ChunkVersion, bytes: Int)
  /// A sealed or stored chunk is about to change. The spool has journaled it already; what is in flight is stale.
  case reopened(ChunkID)
  /// The recording is being cut to `chunkCount` chunks. Journaled by the spool already, but seals recorded since may have
  /// brought older rows back: the fact is recorded once more.
  case truncated(SessionID, chunkCount: Int, base: ChunkVersion)
  /// The recording has a new path, or its user attributes changed: the destination must be told.
  case renamed(SessionID, SessionFacts)
  /// No writer is left, the settle time is over, and every chunk of its `size` bytes has been sealed.
  case finished(SessionID, size: Int64)
  /// The recording was deleted or replaced: drop it from the queue. Nothing is deleted remotely.
  case removed(SessionID)
  /// Nothing but to be told, in the order of what happens.
  case stalled(SessionID, seconds: Int)

  // From the transport.
  case progressed(TransferID, bytes: Int)
  /// What the destination takes, as it has just said. Comes before the outcome of the request that it said it to.
  case discovered(TransferGeometry)
  case transferred(TransferID, TransferOutcome)

  // From people and the system.
  case control(ControlCommand)
  /// An interface or a route came up: look at once.
  case networkChanged
  /// Nothing but time.
  case timePassed

  /// The one session that recorders or people say something about.
  var session: SessionID? {
    switch self {
    case .registered(let session, _), .opened(let session), .truncated(let session, _, _), .renamed(let session, _),
      .finished(let session, _), .removed(let session): session
    case .sealed(let chunk, _, _), .reopened(let chunk): chunk.session
    case .control(let command): command.session
    case .restored, .introduced, .stalled, .progressed, .discovered, .transferred, .networkChanged, .timePassed: nil
    }
  }
}

/// What a recording is called, and what travels along with it.
public struct SessionFacts: Sendable, Hashable {
  /// Bytes of the path below the mount's root, without a leading slash. Names are bytes, not UTF-8.
  public let path: [UInt8]
  /// Inode of the backing file, by which a rebuilt journal finds it again.
  public let inode: UInt64

  public init(path: [UInt8], inode: UInt64) {
    self.path = path
    self.inode = inode
  }
}

/// A session as the journal kept it over a restart.
public struct RestoredSession: Sendable, Equatable {
  public var facts: SessionFacts
  /// Sealed but not stored, ascending, not overlapping.
  public var pending: [Range<Int>]
  /// Sealed, stored or not: ascending, not overlapping. Needed unless the geometry is `.chunks`.
  public var sealed: [Range<Int>]
  /// The destination knows the session under its current path.
  public var isAnnounced: Bool
  /// Finished in the sense of `UploadEvent.finished`, not opened or changed since.
  public var isFinished: Bool
  /// Complete at the destination, as it is now.
  public var isSynced: Bool
  /// The destination's words, when it refused the session for good.
  public var failure: String?
  public var priority: UploadPriority
  public var isHeld: Bool
  /// Bytes when it was last finished; nil: not known.
  public var size: Int64?

  public init(
    facts: SessionFacts, pending: [Range<Int>], sealed: [Range<Int>] = [], isAnnounced: Bool, isFinished: Bool,
    isSynced: Bool, failure: String?, priority: UploadPriority, isHeld: Bool, size: Int64? = nil
  ) {
    self.facts = facts
    self.pending = pending
    self.sealed = sealed
    self.isAnnounced = isAnnounced
    self.isFinished = isFinished
    self.isSynced = isSynced
    self.failure = failure
    self.priority = priority
    self.isHeld = isHeld
    self.size = size
  }
}

public enum UploadPriority: Int, Sendable, Comparable, CaseIterable {
  case low = 0
  case normal = 1
  case high = 2

  public static func < (left: UploadPriority, right: UploadPriority) -> Bool { left.rawValue < right.rawValue }
}

/// What people can ask for, by `.status/control`, command line or attribute.
public enum ControlCommand: Sendable, Equatable {
  case pauseAll
  case resumeAll
  case hold(SessionID)
  case release(SessionID)
  case prioritize(SessionID, UploadPriority)
  /// Bytes a second over all transfers; nil lifts the limit.
  case limit(bytesPerSecond: Int?)
  /// The seed's PROCESS_UPLOADS: forget delays and look at once. `force` also cancels what is in flight, frees its
  /// leases, and tries failed sessions again. `session` nil: all of them.
  case processUploads(SessionID?, force: Bool)
  /// The connection is paid by the byte and not to be used, or it is not (any more).
  case metered(Bool)
  /// Settings changed under the running mount. The geometry stays, and so does a limit that the change does not touch.
  case adopt(UploadPolicy)

  /// Whom it is about; nil: everything.
  var session: SessionID? {
    switch self {
    case .hold(let session), .release(let session), .prioritize(let session, _): session
    case .processUploads(let session, _): session
    case .pauseAll, .resumeAll, .limit, .metered, .adopt: nil
    }
  }
}

import UploadCore
import UploadProtocol

/// The receiver as docs/PROTOCOL.md promises it to be: what it has answered survives its own power cuts.
struct SimulatedReceiver {
  struct Chunk: Equatable {
    var version: ChunkVersion
    var digest: ChunkDigest
  }

  struct Recording: Equatable {
    var size: Int64
    var digests: [ChunkDigest]
  }

  struct Session {
    var path: [UInt8]
    var chunks: [Int: Chunk] = [:]
    /// The whole recording that people see.
    var recording: Recording?
  }

  private enum Undo {
    case chunk(ChunkID, Chunk?)
    case session(SessionID, Session?)
  }

  private(set) var sessions: [SessionID: Session] = [:]
  /// An older receiver knows no whole recordings.
  var takesRecordings = true
  /// What was changed since the last sync, to be taken back by a power cut.
  private var unsynced: [Undo] = []
  /// Named in one answer; the real one names 10,000.
  static let missingMax = 3

  /// Takes one request, whenever and how often ever it arrives. Nothing of it is durable, and so nothing may be answered,
  /// before `sync`.
  mutating func answer(_ payload: SimulatedPayload) -> TransferOutcome {
    switch payload {
    case .probe: return .reachable
    case .exchange: preconditionFailure("the receiver takes chunks")
    case .announce(let session, let facts):
      unsynced.append(.session(session, sessions[session]))
      if sessions[session] == nil {
        sessions[session] = Session(path: facts.path)
      } else {
        sessions[session]?.path = facts.path
      }
      return .announced(facts)
    case .recordings(let batch):
      guard takesRecordings else { return .recordingsUntaken }
      return .recordingsStored(batch.filter { store($0) })
    case .chunk(let chunk, let sent, let bytes):
      guard let held = sessions[chunk.session] else { return .sessionUnknown }
      let old = held.chunks[chunk.index]
      if let old {
        if old.version > sent.version { return .superseded(current: old.version) }
        if old.version == sent.version, old.digest != sent.digest { return .superseded(current: old.version) }
      }
      unsynced.append(.chunk(chunk, old))
      sessions[chunk.session]?.chunks[chunk.index] = sent
      return .stored(sent.version, sent.digest, bytes: bytes)
    case .complete(let session, let facts, let revision, let recording):
      guard let held = sessions[session] else { return .sessionUnknown }
      let missing = recording.digests.indices.filter { held.chunks[$0]?.digest != recording.digests[$0] }
      guard missing.isEmpty else { return .incomplete(missing: Array(missing.prefix(Self.missingMax))) }
      unsynced.append(.session(session, held))
      sessions[session]?.path = facts.path
      sessions[session]?.recording = recording
      return .completed(revision: revision)
    }
  }

  /// A session of which something is here is refused, unless it is the very same: nobody could tell what is newer.
  private mutating func store(_ recording: StoredRecording) -> Bool {
    let held = sessions[recording.session]
    if let held, !held.chunks.isEmpty || held.recording != nil {
      return held.path == recording.facts.path && held.recording?.digests == [recording.digest]
        && held.chunks == [0: Chunk(version: recording.version, digest: recording.digest)]
    }
    unsynced.append(.session(recording.session, held))
    sessions[recording.session] = Session(
      path: recording.facts.path, chunks: [0: Chunk(version: recording.version, digest: recording.digest)],
      recording: Recording(size: Int64(recording.bytes), digests: [recording.digest]))
    return true
  }

  /// Everything taken so far survives a power cut; its answers may go.
  mutating func sync() { unsynced = [] }

  mutating func cutPower() {
    for undo in unsynced.reversed() {
      switch undo {
      case .chunk(let chunk, let old): sessions[chunk.session]?.chunks[chunk.index] = old
      case .session(let session, let old): sessions[session] = old
      }
    }
    unsynced = []
  }

  func chunk(_ chunk: ChunkID) -> Chunk? { sessions[chunk.session]?.chunks[chunk.index] }

  /// Its disk was replaced: nothing of the session is left.
  mutating func forget(_ session: SessionID) {
    sync()
    sessions[session] = nil
  }

  /// A part rotted and was set aside.
  mutating func lose(_ chunk: ChunkID) {
    sync()
    sessions[chunk.session]?.chunks[chunk.index] = nil
  }
}

/// What travels.
enum SimulatedPayload {
  case announce(SessionID, SessionFacts)
  case chunk(ChunkID, SimulatedReceiver.Chunk, bytes: Int)
  case complete(SessionID, SessionFacts, revision: Int64, SimulatedReceiver.Recording)
  /// Small recordings, as the receiver's receipts name them.
  case recordings([StoredRecording])
  case probe
  /// A transfer to another kind of destination: it reads what it needs when it needs it.
  case exchange(SimulatedExchange)

  var session: SessionID? {
    switch self {
    case .announce(let session, _), .complete(let session, _, _, _): session
    case .chunk(let chunk, _, _): chunk.session
    case .exchange(let exchange): exchange.session
    case .recordings, .probe: nil
    }
  }

  /// It may arrive, or arrive again, long after later requests: it tells by itself that it is old.
  var mayArriveLate: Bool {
    switch self {
    case .chunk, .recordings: true
    case .announce, .complete, .exchange, .probe: false
    }
  }

  /// Of what it carries at most; requests without a chunk weigh nothing.
  var bytes: Int {
    switch self {
    case .chunk(_, _, let bytes): bytes
    case .recordings(let batch): batch.reduce(0) { $0 + $1.bytes }
    case .exchange(let exchange):
      if case .run(let run) = exchange.request { run.chunks.count * ChunkLayout.chunkBytes } else { 0 }
    case .announce, .complete, .probe: 0
    }
  }
}

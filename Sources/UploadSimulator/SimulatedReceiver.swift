import UploadCore
import UploadProtocol

/// The receiver as docs/PROTOCOL.md promises it to be.
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

  private(set) var sessions: [SessionID: Session] = [:]
  /// Named in one answer; the real one names 10,000.
  static let missingMax = 3

  /// Takes one request, whenever and how often ever it arrives.
  mutating func answer(_ payload: SimulatedPayload) -> TransferOutcome {
    switch payload {
    case .probe: return .reachable
    case .announce(let session, let facts):
      if sessions[session] == nil {
        sessions[session] = Session(path: facts.path)
      } else {
        sessions[session]?.path = facts.path
      }
      return .announced(facts)
    case .chunk(let chunk, let sent, let bytes):
      guard let held = sessions[chunk.session] else { return .sessionUnknown }
      if let old = held.chunks[chunk.index] {
        if old.version > sent.version { return .superseded(current: old.version) }
        if old.version == sent.version, old.digest != sent.digest { return .superseded(current: old.version) }
      }
      sessions[chunk.session]?.chunks[chunk.index] = sent
      return .stored(sent.version, sent.digest, bytes: bytes)
    case .complete(let session, let facts, let revision, let recording):
      guard let held = sessions[session] else { return .sessionUnknown }
      let missing = recording.digests.indices.filter { held.chunks[$0]?.digest != recording.digests[$0] }
      guard missing.isEmpty else { return .incomplete(missing: Array(missing.prefix(Self.missingMax))) }
      sessions[session]?.path = facts.path
      sessions[session]?.recording = recording
      return .completed(revision: revision)
    }
  }

  /// Its disk was replaced: nothing of the session is left.
  mutating func forget(_ session: SessionID) { sessions[session] = nil }

  /// A part rotted and was set aside.
  mutating func lose(_ chunk: ChunkID) { sessions[chunk.session]?.chunks[chunk.index] = nil }
}

/// What travels.
enum SimulatedPayload {
  case announce(SessionID, SessionFacts)
  case chunk(ChunkID, SimulatedReceiver.Chunk, bytes: Int)
  case complete(SessionID, SessionFacts, revision: Int64, SimulatedReceiver.Recording)
  case probe

  var session: SessionID? {
    switch self {
    case .announce(let session, _), .complete(let session, _, _, _): session
    case .chunk(let chunk, _, _): chunk.session
    case .probe: nil
    }
  }
}

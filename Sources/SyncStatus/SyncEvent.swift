public import UploadProtocol

/// One line of `.status/events.jsonl`.
public struct SyncEvent: Sendable, Equatable {
  /// Increases by one from event to event, over restarts too.
  public let id: Int64
  /// Seconds since 1970, UTC.
  public let time: Double
  public let kind: Kind
  /// Of several destinations the one that it is about; nil: all of them, or the only one.
  public let destination: String?

  public init(id: Int64, time: Double, kind: Kind, destination: String? = nil) {
    self.id = id
    self.time = time
    self.kind = kind
    self.destination = destination
  }

  public enum Kind: Sendable, Equatable {
    case chunkUploaded(SessionID, chunk: Int, totalChunks: Int)
    case sessionUploadComplete(SessionID)
    /// `chunk` nil: the session as a whole.
    case uploadError(SessionID, chunk: Int?, String)
    case uploadPaused(String)
    case uploadResumed
    case connectionLost(String)
    case connectionRestored
    case sessionRegistered(SessionID)
    /// Open, and no byte of it changed for so many seconds.
    case recordingStalled(SessionID, seconds: Int)

    /// Of several destinations it is about all.
    public var isOfAll: Bool {
      switch self {
      case .sessionRegistered, .sessionUploadComplete, .recordingStalled: true
      case .chunkUploaded, .uploadError, .uploadPaused, .uploadResumed, .connectionLost, .connectionRestored: false
      }
    }

    /// The `type` that scripts look for.
    public var type: String {
      switch self {
      case .chunkUploaded: "CHUNK_UPLOADED"
      case .sessionUploadComplete: "SESSION_UPLOAD_COMPLETE"
      case .uploadError: "UPLOAD_ERROR"
      case .uploadPaused: "UPLOAD_PAUSED"
      case .uploadResumed: "UPLOAD_RESUMED"
      case .connectionLost: "CONNECTION_LOST"
      case .connectionRestored: "CONNECTION_RESTORED"
      case .sessionRegistered: "SESSION_REGISTERED"
      case .recordingStalled: "RECORDING_STALLED"
      }
    }
  }
}

/// The text of an event. Field names are those of the original system: camelCase, unlike all other JSON of reelfs.
public enum EventLine {
  /// UTF-8: one JSON object and a newline.
  public static func bytes(of event: SyncEvent) -> [UInt8] {
    var json = JSONText()
    json.beginObject()
    json.add("id", event.id)
    json.add("time", Timestamp.milliseconds(event.time))
    json.add("type", event.kind.type)
    switch event.kind {
    case .chunkUploaded(let session, let chunk, let totalChunks):
      json.add("sessionId", session.description)
      json.add("chunkId", chunk)
      json.add("totalChunks", totalChunks)
    case .sessionUploadComplete(let session), .sessionRegistered(let session):
      json.add("sessionId", session.description)
    case .uploadError(let session, let chunk, let error):
      json.add("sessionId", session.description)
      if let chunk { json.add("chunkId", chunk) } else { json.addNull("chunkId") }
      json.add("error", error)
    case .recordingStalled(let session, let seconds):
      json.add("sessionId", session.description)
      json.add("seconds", seconds)
    case .uploadPaused(let reason), .connectionLost(let reason):
      json.add("error", reason)
    case .uploadResumed, .connectionRestored:
      break
    }
    if let destination = event.destination { json.add("destination", destination) }
    json.endObject()
    json.newline()
    return json.bytes
  }
}

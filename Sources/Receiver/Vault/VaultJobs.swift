import NIOCore

/// One chunk that a client sent, its bytes already checked against `Content-Digest`.
struct ChunkUpload: Sendable {
  let session: SessionName
  let index: Int
  let version: UInt32
  /// 1...`ChunkLayout.chunkBytes` bytes.
  let bytes: ByteBuffer
  /// SHA-256 of `bytes`.
  let digest: [UInt8]
  let writer: String?
}

/// What a client says about a session's recording. A nil field changes nothing.
struct Announcement: Sendable {
  let session: SessionName
  let path: RecordingPath?
  /// A JSON object.
  let metadata: String?
  let writer: String?
}

/// What a client says a whole recording consists of.
struct Completion: Sendable {
  let announcement: Announcement
  let size: Int64
  /// 32 bytes for each chunk of `size`.
  let digests: [UInt8]
}

/// The answer to a completion.
struct CompletedRecording: Sendable, Equatable {
  let size: Int64
  let chain: [UInt8]
  let path: RecordingPath
}

/// Work for the vault's writer, and whom to tell.
enum VaultJob: Sendable {
  case chunk(ChunkUpload, Answer<Void>)
  case announce(Announcement, Answer<SessionRecord>)
  case complete(Completion, Answer<CompletedRecording>)
  case wholes([WholeUpload], Answer<[Result<CompletedRecording, ReceiverError>]>)
  /// Anything else that must be done on the vault's thread, its answer included.
  case task(@Sendable (VaultWriter) -> Void)
  /// The copy of a whole recording, made off this thread, is there or failed.
  case prepared(SessionName, IOFailure?)
}

/// Tells one waiting request its outcome, exactly once.
struct Answer<Value: Sendable>: Sendable {
  private let continuation: CheckedContinuation<Result<Value, ReceiverError>, Never>

  init(_ continuation: CheckedContinuation<Result<Value, ReceiverError>, Never>) { self.continuation = continuation }

  func callAsFunction(_ result: Result<Value, ReceiverError>) { continuation.resume(returning: result) }
}

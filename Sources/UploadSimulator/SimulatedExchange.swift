import UploadCore
import UploadProtocol

/// What one transfer to a store or a tus server may need, as `SessionExchange` of the real thing: journal and files are
/// asked when the closures are called.
struct SimulatedExchange {
  let request: UploadRequest
  let session: SessionID
  let facts: SessionFacts
  let revision: Int64
  let size: Int64
  let isFinished: Bool
  let isSynced: Bool
  let remote: [String: String]
  let rows: (Range<Int>) throws(SourceError) -> [ChunkRow]
  let read: (Range<Int>) throws(SourceError) -> [StoredChunk]

  var chunkCount: Int { ChunkLayout.chunkCount(size: size) }

  /// Sealed rows of a range, all of them.
  func wholeRows(_ chunks: Range<Int>) throws(SourceError) -> [ChunkRow] {
    let rows = try self.rows(chunks)
    guard rows.count == chunks.count, rows.allSatisfy({ $0.state != .open }) else { throw SourceError(.stale) }
    return rows
  }
}

/// What a transfer does next, as `ConversationStep` of the real transport: a few requests, one after the other.
enum ExchangeStep {
  case send(ServerRequest, then: (ServerAnswer) -> ExchangeStep)
  case end(TransferOutcome)
  case discovered(TransferGeometry, TransferOutcome)
}

/// One HTTP request to a store or a tus server. Chunks travel as their digests, which name content and length.
enum ServerRequest {
  case probe
  case store(StoreRequest)
  case tus(TusRequest)

  /// Weight on the wire.
  var bytes: Int {
    switch self {
    case .store(.uploadPart(_, _, let part)): part.bytes
    case .store(.putObject(_, _, let part)): part.bytes
    case .tus(.append(_, _, let bytes, _)): bytes.count
    case .probe, .store, .tus: 0
    }
  }

  /// Two requests of one upload never overtake each other there, but parts of S3 do.
  var mayArriveLate: Bool { if case .store(.uploadPart) = self { true } else { false } }
}

enum ServerAnswer {
  /// No answer at all, or one that means the same whatever was asked.
  case failed(TransferOutcome)
  case refused(Refusal)
  case done
  /// An upload that was created, or joined.
  case upload(Int)
  case etag(UInt64)
  case object(etag: UInt64, size: Int64)
  case offset(Int64)
  /// Where an upload ends, and how long it was declared to be.
  case found(offset: Int64, length: Int64?)

  enum Refusal {
    /// The server knows no such upload (any more).
    case uploadGone
    case objectMissing
    case objectChanged
    /// Complete: parts were overwritten, or never came.
    case partsDisagree
    /// tus: the upload is not as long as the request says.
    case wrongOffset
    /// tus: this server wants the length with the first byte, whatever it offered.
    case lengthWanted
  }
}

extension ServerAnswer {
  /// The outcome of whatever is not what was asked for.
  var outcome: TransferOutcome {
    switch self {
    case .failed(let outcome): outcome
    case .refused(let refusal): .retryable("\(refusal)", after: nil)
    case .done, .upload, .etag, .object, .offset, .found: .retryable("a strange answer", after: nil)
    }
  }
}

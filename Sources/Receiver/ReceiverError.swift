import HTTPTypes
import UploadProtocol

/// Everything a client or an operator can be told, and the only place where it becomes an HTTP answer.
public enum ReceiverError: Error, Sendable, Equatable {
  case badSession, badIndex, badVersion, badDigest
  case badPath(String)
  case badBody(String)
  case digestMismatch
  case unauthorized
  case unknownSession, notFound
  case methodNotAllowed(allowed: String)
  /// The receiver holds version `current` with other bytes, or a newer one.
  case superseded(current: UInt32)
  case incomplete(missing: [Int])
  case otherWriter
  /// Only a session that nothing is stored of can come whole.
  case knownSession
  case tooLarge(bytesMax: Int)
  /// The body is compressed in a way that this address does not take.
  case unknownEncoding
  /// The body cannot be decompressed.
  case badEncoding(String)
  /// Too much at once; try again after so many seconds.
  case busy(retryAfterSeconds: Int)
  case stopping
  case full
  // Said to tus clients only.
  case tusVersion, contentType, checksumMismatch, locked, gone, finalUpload, foreignOrigin
  /// A receiver without a token was asked under a name that is not this machine's.
  case foreignHost
  /// The upload has `current` bytes.
  case offsetMismatch(current: Int64)
  /// The disk or the catalog failed in a way that only an operator can mend.
  case storage(String)

  // Told at start, never over HTTP.
  case dataFolderInUse(path: String)
  case dataFolder(path: String, reason: String)
  case tokenNeeded(host: String)
  case tls(String)
}

extension ReceiverError {
  init(_ failure: IOFailure) {
    self = failure.isNoSpace ? .full : .storage("\(failure)")
  }

  init(_ failure: CatalogError) {
    self = failure.isNoSpace ? .full : .storage("\(failure)")
  }

  var status: HTTPResponse.Status {
    switch self {
    case .badSession, .badIndex, .badVersion, .badDigest, .badPath, .badBody, .digestMismatch, .badEncoding: .badRequest
    case .unauthorized: .unauthorized
    case .foreignOrigin, .foreignHost, .finalUpload: .forbidden
    case .unknownSession, .notFound: .notFound
    case .gone: .gone
    case .tusVersion: .preconditionFailed
    case .contentType, .unknownEncoding: .unsupportedMediaType
    case .locked: HTTPResponse.Status(code: 423, reasonPhrase: "Locked")
    case .checksumMismatch: HTTPResponse.Status(code: 460, reasonPhrase: "Checksum Mismatch")
    case .methodNotAllowed: .methodNotAllowed
    case .superseded, .incomplete, .otherWriter, .knownSession, .offsetMismatch: .conflict
    case .tooLarge: .contentTooLarge
    case .busy, .stopping: .serviceUnavailable
    case .full: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
    case .storage, .dataFolderInUse, .dataFolder, .tokenNeeded, .tls: .internalServerError
    }
  }

  /// The word for programs, as docs/PROTOCOL.md lists it.
  var code: String {
    switch self {
    case .badSession: "bad_session"
    case .badIndex: "bad_index"
    case .badVersion: "bad_version"
    case .badDigest: "bad_digest"
    case .badPath: "bad_path"
    case .badBody: "bad_body"
    case .digestMismatch: "digest_mismatch"
    case .unauthorized: "unauthorized"
    case .unknownSession: "unknown_session"
    case .notFound: "not_found"
    case .methodNotAllowed: "method_not_allowed"
    case .superseded: "superseded"
    case .incomplete: "incomplete"
    case .otherWriter: "other_writer"
    case .knownSession: "known_session"
    case .tooLarge: "too_large"
    case .unknownEncoding: "content_encoding"
    case .badEncoding: "bad_encoding"
    case .busy: "busy"
    case .stopping: "stopping"
    case .full: "full"
    case .tusVersion: "tus_version"
    case .contentType: "content_type"
    case .checksumMismatch: "checksum_mismatch"
    case .locked: "locked"
    case .gone: "gone"
    case .finalUpload: "final_upload"
    case .foreignOrigin: "foreign_origin"
    case .foreignHost: "foreign_host"
    case .offsetMismatch: "offset_mismatch"
    case .storage, .dataFolderInUse, .dataFolder, .tokenNeeded, .tls: "internal"
    }
  }

  /// Seconds for `Retry-After`; nil where trying again later is no remedy by itself.
  var retryAfterSeconds: Int? {
    if case .busy(let seconds) = self { return seconds }
    if self == .locked { return 1 }
    return self == .stopping ? 2 : nil
  }
}

extension ReceiverError: CustomStringConvertible {
  /// The sentence for people.
  public var description: String {
    switch self {
    case .badSession:
      "Session-Id must be 1 to 128 of the characters A–Z a–z 0–9 _ - and begin with sess_."
    case .badIndex: "Chunk-Index must be a number from 0 to \(ChunkLayout.indexMax)."
    case .badVersion: "Chunk-Version must be a number from 1 to \(UInt32.max)."
    case .badDigest: "Content-Digest must hold sha-256=:<base64 of 32 bytes>:."
    case .badPath(let reason), .badBody(let reason): reason
    case .digestMismatch: "The bytes are not those that Content-Digest names; send the chunk again."
    case .unauthorized: "The token is missing or wrong; send Authorization: Bearer <token>."
    case .unknownSession: "There is no session with this id."
    case .notFound: "There is nothing at this address."
    case .methodNotAllowed(let allowed): "This address takes \(allowed)."
    case .superseded(let current): "Version \(current) of this chunk is here already, with other bytes."
    case .incomplete(let missing):
      "\(missing.count) or more chunks are missing or differ; send them and complete again."
    case .otherWriter: "The session belongs to another client."
    case .knownSession: "Something of this session is here already; send its chunks, and complete it."
    case .tooLarge(let limit): "The body is larger than the limit of \(limit) bytes."
    case .unknownEncoding: "Chunks may be compressed with zstd; no other Content-Encoding is taken, and elsewhere none."
    case .badEncoding(let reason): "The body is not the zstd that Content-Encoding promises: \(reason)."
    case .busy: "The receiver has as much to do as it may; try again later."
    case .stopping: "The receiver is stopping; try again later."
    case .full: "There is no space left for this; what was acknowledged is unharmed."
    case .tusVersion: "This receiver speaks tus 1.0.0; send Tus-Resumable: 1.0.0."
    case .contentType: "The body's Content-Type must be application/offset+octet-stream."
    case .checksumMismatch: "The bytes are not those that Upload-Checksum names; nothing of this request was kept."
    case .locked: "Another request is writing to this upload; ask again in a second."
    case .gone: "This upload has expired."
    case .finalUpload: "A final upload is made of its parts; nothing can be appended to it."
    case .foreignHost:
      "Without a token this receiver answers under the names of this machine only: localhost, 127.0.0.1."
    case .foreignOrigin:
      "A receiver without a token takes uploads of web pages of this machine only; give it a token file."
    case .offsetMismatch(let current): "The upload has \(current) bytes; Upload-Offset must say the same."
    case .storage(let reason): "The receiver could not store or read it: \(reason)"
    case .dataFolderInUse(let path): "Another receiver is using the data folder \(path)."
    case .dataFolder(let path, let reason): "The data folder \(path) cannot be used: \(reason)"
    case .tokenNeeded(let host):
      "Without a token the receiver listens on loopback only, not on \(host); give it a token file."
    case .tls(let reason): "The TLS certificate or key cannot be used: \(reason)"
    }
  }
}

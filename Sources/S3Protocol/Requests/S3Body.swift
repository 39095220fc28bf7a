internal import Crypto

/// What a request carries. Large bodies are facts only: the bytes stay where they are, and the sender has them.
package enum S3Body: Sendable, Equatable {
  case none
  /// A small document of ours.
  case document([UInt8])
  case content(S3Content)

  package var count: Int64 {
    switch self {
    case .none: 0
    case .document(let bytes): Int64(bytes.count)
    case .content(let content): content.count
    }
  }

  /// Of the true bytes: every server that checks anything checks this one.
  var sha256: [UInt8] {
    switch self {
    case .none: Array(SHA256.hash(data: [UInt8]()))
    case .document(let bytes): Array(SHA256.hash(data: bytes))
    case .content(let content): content.sha256
    }
  }
}

/// The facts of a body that is sent as it lies: a whole recording or a part of one.
package struct S3Content: Sendable, Equatable {
  package let count: Int64
  /// 32 bytes.
  package let sha256: [UInt8]
  /// 16 bytes: Content-MD5, and what the part's ETag is compared with.
  package let md5: [UInt8]
  /// Of the same bytes, to be checked by Amazon; nil: not sent. No other server tried verifies them.
  package var checksum: S3Checksum?

  package init(count: Int64, sha256: [UInt8], md5: [UInt8], checksum: S3Checksum? = nil) {
    precondition(count >= 0 && sha256.count == 32 && md5.count == 16, "digests of a body have 32 and 16 bytes")
    self.count = count
    self.sha256 = sha256
    self.md5 = md5
    self.checksum = checksum
  }
}

/// Computes the facts of a body from its bytes, piece by piece, in one pass.
package struct S3ContentDigester: Sendable {
  private var sha256 = SHA256()
  private var md5 = Insecure.MD5()
  private var count: Int64 = 0

  package init() {}

  package mutating func update(_ piece: [UInt8]) {
    sha256.update(data: piece)
    md5.update(data: piece)
    count += Int64(piece.count)
  }

  package func finished(checksum: S3Checksum? = nil) -> S3Content {
    S3Content(count: count, sha256: Array(sha256.finalize()), md5: Array(md5.finalize()), checksum: checksum)
  }
}

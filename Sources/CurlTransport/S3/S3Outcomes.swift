import S3Protocol
import UploadCore

/// What a refusal means to the scheduler. What the answer itself meant is one table in S3Protocol.
enum S3Outcomes {
  static func outcome(of refusal: S3Refusal) -> TransferOutcome {
    let words = refusal.words
    let after = refusal.retryAfter.map { Span.seconds($0) }
    switch refusal.meaning {
    case .transient, .conflict, .partsDisagree, .uploadGone, .perhapsCompleted, .objectMissing, .objectChanged:
      return .retryable(words, after: after)
    case .unreachable where after == nil: return .unreachable(words)
    case .unreachable: return .retryable(words, after: after)
    case .throttled: return .throttled(words, after: after)
    case .clockSkewed, .wrongRegion, .misconfigured, .unsupported: return .blocked(.configuration, words)
    case .credentialsRefused: return .blocked(.credentials, words)
    case .full: return .blocked(.full, words)
    case .damaged: return .corrupted(words)
    case .rejected: return .rejected(words)
    }
  }
}

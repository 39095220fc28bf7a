import UploadCore

/// Which answer of a tus server means what: the only place that knows. What depends on the step (404, 409, 413 of a
/// PATCH) is decided by the step before it asks here.
enum TusOutcomes {
  static func outcome(of result: HTTPResult, _ what: String, at address: String) -> TransferOutcome {
    guard case .answered(let answer) = result else { return OutcomeTable.unanswered(result, address) }
    let words = answer.words ?? "\(address) answered \(answer.status) to \(what)"
    let delay = RetryAfter.delay(in: answer)
    switch answer.status {
    case 200..<300: return .retryable("\(address) gave a strange answer (\(answer.status)) to \(what)", after: nil)
    case 300..<400:
      let target = answer.location.map { " to \($0)" } ?? ""
      return .blocked(.configuration, "\(address) redirects\(target); use the server's own address")
    case 400 where words.contains("ERR_UPLOAD_INTERRUPTED"):
      // A second request took the upload over; the next attempt asks how far it came.
      return .retryable(words, after: .seconds(1))
    case 401, 403, 407:
      return .blocked(
        .credentials, "\(address) refuses us (\(answer.status): \(words)); give the right token with --token-file")
    case 402, 507: return .blocked(.full, "the destination is full: \(words)")
    case 404, 405, 410: return .blocked(.configuration, notTus(address))
    case 408, 409, 425: return .retryable(words, after: delay)
    case 412: return .blocked(.configuration, "\(address) speaks another version of tus than 1.0.0: \(words)")
    case 413: return .rejected("\(address) does not take a recording of this size: \(words)")
    case 423: return .retryable("the upload is locked by an earlier request: \(words)", after: delay ?? .seconds(2))
    case 429: return .throttled(words, after: delay)
    case 460: return .corrupted("the bytes arrived damaged: \(words)")
    case 503 where delay != nil: return .throttled(words, after: delay)
    // A proxy found nobody behind it.
    case 502 where delay == nil, 504 where delay == nil:
      return .unreachable("the proxy at \(address) does not reach the tus server (\(answer.status))")
    case 500...: return .retryable("\(address) answered \(answer.status): \(words)", after: delay)
    default: return .rejected("\(address) refuses \(what) (\(answer.status)): \(words)")
    }
  }

  static func notTus(_ address: String) -> String {
    "what answers at \(address) does not create tus 1.0 uploads; check host, port and path"
  }
}

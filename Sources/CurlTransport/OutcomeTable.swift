import CCurl
package import UploadCore
import UploadProtocol

/// Which answer, status or network error means what: the only place that knows.
package enum OutcomeTable {
  /// - Parameter address: the destination's, for the sentences.
  package static func outcome(
    of result: HTTPResult, for sent: UploadPayload, at address: String
  ) -> TransferOutcome {
    let outcome: TransferOutcome =
      if case .answered(let answer) = result { answered(answer, sent, address) } else { unanswered(result, address) }
    // A probe belongs to no session: what would refuse one means that the destination is of no use.
    guard case .probe = sent, case .rejected(let words) = outcome else { return outcome }
    return .blocked(.configuration, words)
  }

  /// What it means that there was no (whole) answer; the same for every destination that speaks HTTP.
  package static func unanswered(_ result: HTTPResult, _ address: String) -> TransferOutcome {
    switch result {
    case .answered(let answer): .retryable("\(address) answered \(answer.status)", after: nil)
    case .failed(let code, let words): noAnswer(CURLcode(rawValue: code), words, address)
    // Nobody answers: one probe tells whether it is the destination or this request.
    case .stalled(let span): .unreachable("no byte moved for \(seconds(span))")
    case .endless: .retryable("\(address) sent an answer without an end", after: nil)
    }
  }

  private static func answered(_ answer: HTTPAnswer, _ sent: UploadPayload, _ address: String) -> TransferOutcome {
    switch answer.status {
    case 200..<300: accepted(answer, sent, address)
    case 300..<400: redirected(answer, address)
    default: refused(answer, sent, address)
    }
  }

  // MARK: 2xx

  private static func accepted(_ answer: HTTPAnswer, _ sent: UploadPayload, _ address: String) -> TransferOutcome {
    // libcurl takes a head that was cut off for a whole one. Our receiver says something whenever it says yes.
    if answer.status == 200, answer.body.isEmpty { return .unreachable("\(address) closed the connection within its answer") }
    return switch sent {
    case .announce(let announcement): announced(answer, announcement, address)
    case .chunk(let chunk): receipt(answer, chunk, address)
    case .complete(let manifest): completed(answer, manifest, address)
    case .recordings(let batch): stored(answer, batch, address)
    case .probe:
      answer.decoded(HealthAnswer.self)?.status == "ok"
        ? .reachable : .blocked(.configuration, notAReceiver(address))
    }
  }

  private static func announced(
    _ answer: HTTPAnswer, _ sent: SessionAnnouncement, _ address: String
  ) -> TransferOutcome {
    guard let session = answer.decoded(SessionAnswer.self) else {
      return .blocked(.configuration, notAReceiver(address))
    }
    guard session.sessionId == sent.session.description else {
      return .corrupted("the answer is about \(session.sessionId), not about \(sent.session)")
    }
    return .announced(sent.facts)
  }

  /// A receipt counts only for the very bytes that were sent.
  private static func receipt(_ answer: HTTPAnswer, _ sent: ChunkPayload, _ address: String) -> TransferOutcome {
    guard let receipt = answer.decoded(ChunkReceipt.self) else {
      return unexpected(answer, "the answer for chunk \(sent.chunk.index) is not a receipt", address)
    }
    guard receipt.sessionId == sent.chunk.session.description, receipt.chunkIndex == sent.chunk.index else {
      return .corrupted("the receipt is for chunk \(receipt.chunkIndex) of \(receipt.sessionId)")
    }
    guard receipt.chunkVersion == sent.version.number else {
      return .corrupted("the receipt is for version \(receipt.chunkVersion), sent was \(sent.version)")
    }
    guard receipt.bytes == sent.bytes.count, ChunkDigest(hex: receipt.sha256) == sent.digest else {
      return .corrupted("the receipt is for other bytes than those of chunk \(sent.chunk.index)")
    }
    return .stored(sent.version, sent.digest, bytes: sent.bytes.count)
  }

  private static func completed(
    _ answer: HTTPAnswer, _ sent: RecordingManifest, _ address: String
  ) -> TransferOutcome {
    let words = "the answer to completing \(sent.session) is about something else"
    guard let completion = answer.decoded(CompletionAnswer.self) else { return unexpected(answer, words, address) }
    guard completion.sessionId == sent.session.description, completion.size == sent.size else {
      return .corrupted(words)
    }
    return .completed(revision: sent.revision)
  }

  /// Each receipt counts only for the very bytes that were sent as this recording.
  private static func stored(_ answer: HTTPAnswer, _ sent: [WholeRecording], _ address: String) -> TransferOutcome {
    guard let answers = answer.decoded(RecordingsAnswer.self) else {
      return unexpected(answer, "the answer to \(sent.count) recordings holds no receipts", address)
    }
    let receipts = Dictionary(answers.recordings.map { ($0.sessionId, $0) }) { first, _ in first }
    return .recordingsStored(
      sent.compactMap { recording in
        let announcement = recording.announcement
        guard let receipt = receipts[announcement.session.description], receipt.chunkVersion == recording.version.number,
          receipt.size == Int64(recording.bytes.count), receipt.sha256.flatMap({ ChunkDigest(hex: $0) }) == recording.digest
        else { return nil }
        return StoredRecording(
          session: announcement.session, facts: announcement.facts, version: recording.version, digest: recording.digest,
          bytes: recording.bytes.count, revision: recording.revision)
      })
  }

  /// A success of another shape. What is not even JSON comes from a captive portal or another web server: that must pause
  /// the destination, not fail recording after recording.
  private static func unexpected(_ answer: HTTPAnswer, _ words: String, _ address: String) -> TransferOutcome {
    answer.isJSONObject ? .corrupted(words) : .blocked(.configuration, notAReceiver(address))
  }

  // MARK: 3xx

  /// Never followed: a redirected upload would take the credentials to another host.
  private static func redirected(_ answer: HTTPAnswer, _ address: String) -> TransferOutcome {
    let target = answer.location.map { " to \($0)" } ?? ""
    return .blocked(.configuration, "\(address) redirects\(target); use the receiver's own address")
  }

  // MARK: 4xx, 5xx

  private static func refused(_ answer: HTTPAnswer, _ sent: UploadPayload, _ address: String) -> TransferOutcome {
    let refusal = answer.decoded(ServerRefusal.self)
    let words = refusal?.message ?? answer.words ?? "\(address) answered \(answer.status)"
    let delay = RetryAfter.delay(in: answer)
    // An older receiver, or something in front of one that takes less at once: chunk by chunk it may go.
    if case .recordings = sent, [404, 405, 413, 501].contains(answer.status) { return .recordingsUntaken }
    switch (answer.status, refusal?.error) {
    case (400, "digest_mismatch"): return .corrupted(words)
    case (401, _), (403, _), (407, _): return .blocked(.credentials, credentials(answer.status, words))
    case (402, _), (507, _): return .blocked(.full, "the destination is full: \(words)")
    case (404, "unknown_session"): return .sessionUnknown
    case (404, _), (405, nil), (410, nil): return .blocked(.configuration, notAReceiver(address))
    case (408, _), (425, _): return .retryable(words, after: delay)
    case (409, _): return conflict(refusal, sent, words)
    case (413, nil): return .rejected("bodies of a chunk's size are refused: \(words)")
    case (429, _): return .throttled(words, after: delay)
    case (503, _) where delay != nil: return .throttled(words, after: delay)
    // A proxy found nobody behind it.
    case (502, _) where delay == nil, (504, _) where delay == nil:
      return .unreachable("the proxy at \(address) does not reach the receiver (\(answer.status))")
    case (500..., _): return .retryable("\(address) answered \(answer.status): \(words)", after: delay)
    case (400..., _): return .rejected(words)
    default: return .retryable("\(address) answered \(answer.status)", after: nil)
    }
  }

  private static func conflict(_ refusal: ServerRefusal?, _ sent: UploadPayload, _ words: String) -> TransferOutcome {
    switch (refusal?.error, sent) {
    case ("superseded", .chunk):
      guard let number = refusal?.chunkVersion, number > 0 else {
        return .retryable("the destination holds a newer chunk but does not say which version", after: nil)
      }
      return .superseded(current: ChunkVersion(number))
    case ("incomplete", .complete(let manifest)):
      let chunks = 0..<ChunkLayout.chunkCount(size: manifest.size)
      let missing = Set(refusal?.missing ?? []).filter { chunks.contains($0) }.sorted()
      guard !missing.isEmpty else {
        return .retryable("the destination misses chunks but does not say which", after: nil)
      }
      return .incomplete(missing: missing)
    case ("other_writer", _):
      return .rejected(otherWriter(words))
    default:
      return .rejected(words)
    }
  }

  // MARK: No answer

  private static func noAnswer(_ code: CURLcode, _ words: String, _ address: String) -> TransferOutcome {
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT, CURLE_PROXY:
      return .unreachable("no connection to \(address): \(words)")
    case CURLE_OPERATION_TIMEDOUT:
      // The only time limit given to libcurl is the one for connecting.
      return .unreachable("no connection to \(address) in time: \(words)")
    case CURLE_SSL_CONNECT_ERROR where words.contains("wrong version number"):
      return .blocked(.configuration, "\(address) does not speak TLS: use http://, or the port that does")
    case CURLE_PARTIAL_FILE, CURLE_SSL_CONNECT_ERROR, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR,
      CURLE_SEND_FAIL_REWIND:
      return .unreachable("connection to \(address) lost: \(words)")
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS,
      CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return .blocked(
        .configuration,
        "the certificate of \(address) is not trusted (\(words)); name its authority with --ca-file")
    case CURLE_SSL_CACERT_BADFILE:
      return .blocked(.configuration, "the file given with --ca-file cannot be used: \(words)")
    case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED,
      CURLE_SSL_CRL_BADFILE:
      return .blocked(.configuration, "TLS with \(address) cannot be set up: \(words)")
    case CURLE_URL_MALFORMAT:
      return .blocked(.configuration, "\(address) is not an address: \(words)")
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY:
      // Passing faults look like this too (bytes damaged on the way), so it is tried again.
      return .retryable("\(address) did not answer in HTTP: \(words)", after: nil)
    default:
      return .retryable("\(words) (libcurl \(code.rawValue))", after: nil)
    }
  }

  // MARK: Sentences

  private static func notAReceiver(_ address: String) -> String {
    "what answers at \(address) is not a reelfs receiver; check host, port and path"
  }

  private static func otherWriter(_ words: String) -> String {
    """
    the session belongs to another client (\(words)): another mount uploads this recording, or this one's state directory \
    has lost its file `writer`; it is safe in the spool, and copied to a new name in the mount it is uploaded as a recording \
    of its own
    """
  }

  private static func credentials(_ status: Int, _ words: String) -> String {
    switch status {
    case 401: "the destination does not accept the token (\(words)); give the right one with --token-file"
    case 407: "the proxy asks for credentials (\(words))"
    default: "the destination forbids it (\(words))"
    }
  }

  private static func seconds(_ span: Span) -> String {
    let milliseconds = span.nanoseconds / 1_000_000
    return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000) s" : "\(milliseconds) ms"
  }
}

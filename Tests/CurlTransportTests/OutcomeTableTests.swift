import CCurl
import CurlTransport
import Testing
import UploadCore
import UploadProtocol

@Suite("Outcome table: success")
struct SuccessTests {
  @Test("a receipt for the very bytes that were sent means stored")
  func storedChunk() {
    let chunk = Harness.chunk(5, count: 100)
    #expect(outcome(200, receipt(chunk), .chunk(chunk)) == Harness.stored(chunk))
  }

  @Test(
    "a receipt that differs in anything means corrupted",
    arguments: [
      ("sess_0000000000001234", "sess_0000000000001235"), ("\"chunk_index\":5", "\"chunk_index\":6"),
      ("\"chunk_version\":3", "\"chunk_version\":4"), ("\"bytes\":100", "\"bytes\":99"), ("\"sha256\":\"05", "\"sha256\":\"06"),
      ("\"sha256\"", "\"sha512\""), ("\"bytes\":100", "\"bytes\":\"many\""),
    ])
  func otherReceipt(right: String, wrong: String) {
    let chunk = Harness.chunk(5, count: 100)
    let text = receipt(chunk)
    let changed = text.replacing(right, with: wrong)

    #expect(changed != text)
    #expect(outcome(200, changed, .chunk(chunk)).isCorrupted)
  }

  @Test(
    "a success that is not JSON comes from something else than a receiver, and pauses the destination",
    arguments: ["<html>Please log in</html>", "[]", "{\"session_id\""])
  func foreignSuccess(text: String) {
    for payload in everyPayload {
      let outcome = outcome(200, text, payload)
      #expect(isBlocked(outcome, .configuration))
      #expect(outcome.words.contains("not a reelfs receiver"))
    }
  }

  @Test("a success that says nothing is an answer that was cut off: a lost connection")
  func emptySuccess() {
    for payload in everyPayload {
      #expect(outcome(200, "", payload) == .unreachable("http://there closed the connection within its answer"))
    }
  }

  @Test("of small recordings those are stored whose receipt is for the very bytes that were sent")
  func recordings() {
    let sent = (1...5).map { Harness.whole(Int64($0)) }
    func entry(_ recording: WholeRecording, size: Int = 10, version: Int = 3, digest: String? = nil) -> String {
      """
      {"session_id":"\(recording.announcement.session)","chunk_version":\(version),"size":\(size),
      "sha256":"\(digest ?? recording.digest.description)","chain":"","recording":"x"}
      """
    }
    let refusal = #"{"session_id":"\#(sent[4].announcement.session)","error":"known_session","message":"it is here"}"#
    let other = sent[0].digest.description
    let text =
      #"{"recordings":["#
      + [entry(sent[0]), entry(sent[1], size: 9), entry(sent[2], version: 4), entry(sent[3], digest: other), refusal]
      .joined(separator: ",") + "]}"

    #expect(outcome(200, text, .recordings(sent)) == .recordingsStored([Harness.stored(sent[0])]))
    #expect(outcome(200, #"{"session_id":"x"}"#, .recordings(sent)).isCorrupted)
    #expect(isBlocked(outcome(200, "<html>", .recordings(sent)), .configuration))
  }

  @Test("where whole recordings are not taken, they go chunk by chunk", arguments: [404, 405, 413, 501])
  func untaken(status: Int) {
    #expect(outcome(status, "", .recordings([Harness.whole(1)])) == .recordingsUntaken)
    #expect(outcome(status, #"{"error":"not_found","message":"x"}"#, .recordings([Harness.whole(1)])) == .recordingsUntaken)
  }

  @Test("an announced session is known under the path that was announced")
  func announced() {
    let text = #"{"session_id":"sess_0000000000001234","chunks":[]}"#
    #expect(outcome(200, text, .announce(Harness.announcement)) == .announced(Harness.facts))
    #expect(outcome(200, #"{"session_id":"sess_1"}"#, .announce(Harness.announcement)).isCorrupted)
    #expect(isBlocked(outcome(200, "{}", .announce(Harness.announcement)), .configuration))
  }

  @Test("a completed session is whole as of the manifest's revision")
  func completed() {
    let text = #"{"session_id":"sess_0000000000001234","size":2097152,"chain":"","recording":"x"}"#
    #expect(outcome(200, text, .complete(Harness.manifest())) == .completed(revision: 9))
    #expect(outcome(200, text, .complete(Harness.manifest(chunks: 3))).isCorrupted)
    #expect(outcome(200, "{}", .complete(Harness.manifest())).isCorrupted)
  }

  @Test("a healthy answer to a probe means reachable, another server's does not")
  func probed() {
    #expect(outcome(200, #"{"status":"ok"}"#, .probe) == .reachable)
    #expect(isBlocked(outcome(200, #"{"status":"starting"}"#, .probe), .configuration))
    #expect(isBlocked(outcome(200, #"{"alive":true}"#, .probe), .configuration))
  }
}

@Suite("Outcome table: refusals")
struct RefusalTests {
  @Test("refused credentials pause the destination", arguments: [401, 403, 407])
  func credentials(status: Int) {
    for payload in everyPayload {
      #expect(isBlocked(outcome(status, error("unauthorized", "no token"), payload), .credentials))
    }
    #expect(outcome(401, "", .probe).words.contains("--token-file"))
  }

  @Test("a full destination pauses it", arguments: [402, 507])
  func full(status: Int) {
    for payload in everyPayload {
      #expect(isBlocked(outcome(status, error("full", "no space left"), payload), .full))
    }
  }

  @Test("an unknown session is announced again, any other 404 is a wrong address")
  func notFound() {
    let chunk = UploadPayload.chunk(Harness.chunk(count: 1))
    #expect(outcome(404, error("unknown_session", ""), chunk) == .sessionUnknown)
    for text in [error("not_found", "no such route"), "<h1>404</h1>", ""] {
      #expect(isBlocked(outcome(404, text, chunk), .configuration))
      #expect(isBlocked(outcome(404, text, .probe), .configuration))
    }
    #expect(isBlocked(outcome(405, "<h1>405</h1>", chunk), .configuration))
    #expect(isBlocked(outcome(410, "", chunk), .configuration))
  }

  @Test("passing faults are tried again", arguments: [408, 425, 500, 503, 520])
  func passing(status: Int) {
    for payload in everyPayload {
      guard case .retryable(_, nil) = outcome(status, "", payload) else {
        Issue.record("\(status) is not retryable")
        continue
      }
    }
  }

  @Test("a proxy that finds nobody behind it is as good as nobody there", arguments: [502, 504])
  func gateway(status: Int) {
    for payload in everyPayload { #expect(outcome(status, "<h1>Bad Gateway</h1>", payload).isUnreachable) }
  }

  @Test("Retry-After goes along with whatever passes", arguments: [408, 425, 500, 502, 504])
  func passingWithDelay(status: Int) {
    let answer = HTTPAnswer(status: status, retryAfter: "7")
    guard case .retryable(_, let after) = outcome(answer, .probe) else {
      Issue.record("\(status) is not retryable")
      return
    }
    #expect(after == .seconds(7))
  }

  @Test("429, and 503 with Retry-After, slow everybody down")
  func throttled() {
    #expect(outcome(HTTPAnswer(status: 429), .probe) == .throttled("http://there answered 429", after: nil))
    for status in [429, 503] {
      let answer = HTTPAnswer(status: status, retryAfter: "30")
      #expect(outcome(answer, .probe) == .throttled("http://there answered \(status)", after: .seconds(30)))
    }
  }

  @Test("bytes that arrived damaged are corrupted, any other bad request is refused in the server's words")
  func badRequest() {
    let chunk = UploadPayload.chunk(Harness.chunk(count: 1))
    #expect(outcome(400, error("digest_mismatch", "differs"), chunk) == .corrupted("differs"))
    for code in ["bad_session", "bad_index", "bad_version", "bad_digest", "bad_path", "bad_body"] {
      #expect(outcome(400, error(code, "it is bad"), chunk) == .rejected("it is bad"))
    }
  }

  @Test("other refusals fail the session in the server's words", arguments: [400, 411, 413, 414, 415, 422, 431, 451])
  func permanent(status: Int) {
    let chunk = UploadPayload.chunk(Harness.chunk(count: 1))
    #expect(outcome(status, error("too_large", "too much"), chunk) == .rejected("too much"))
    guard case .rejected(let words) = outcome(status, "<b>nginx\r\n refuses</b>", chunk) else {
      Issue.record("\(status) is not rejected")
      return
    }
    #expect(words.contains("<b>nginx refuses</b>"))
  }

  @Test("what would refuse a session means a useless destination to a probe")
  func refusedProbe() {
    #expect(isBlocked(outcome(400, error("bad_body", "what?"), .probe), .configuration))
  }

  @Test("conflicts say what the destination has")
  func conflicts() {
    let chunk = UploadPayload.chunk(Harness.chunk(count: 1))
    let complete = UploadPayload.complete(Harness.manifest(chunks: 4))
    #expect(
      outcome(409, #"{"error":"superseded","message":"newer","chunk_version":8}"#, chunk)
        == .superseded(current: ChunkVersion(8)))
    #expect(
      outcome(409, #"{"error":"incomplete","message":"","missing":[3,1,1]}"#, complete) == .incomplete(missing: [1, 3]))
    #expect(
      outcome(409, error("other_writer", "not yours"), chunk)
        == .rejected(
          "the session belongs to another client (not yours): another mount uploads this recording, or this one's state "
            + "directory has lost its file `writer`; it is safe in the spool, and copied to a new name in the mount it is "
            + "uploaded as a recording of its own"))
  }

  @Test("conflicts that do not say what the destination has are tried again")
  func vagueConflicts() {
    let chunk = UploadPayload.chunk(Harness.chunk(count: 1))
    let complete = UploadPayload.complete(Harness.manifest(chunks: 4))
    for outcome in [
      outcome(409, error("superseded", ""), chunk),
      outcome(409, #"{"error":"superseded","chunk_version":0}"#, chunk),
      outcome(409, error("incomplete", ""), complete),
      outcome(409, #"{"error":"incomplete","missing":[-1,4]}"#, complete),
    ] {
      guard case .retryable = outcome else {
        Issue.record("\(outcome) is not retryable")
        continue
      }
    }
    #expect(outcome(409, error("incomplete", "odd"), chunk) == .rejected("odd"))
  }

  @Test("a redirect is not followed and names where it leads", arguments: [301, 302, 307, 308])
  func redirect(status: Int) {
    let answer = HTTPAnswer(status: status, location: "https://portal/login")
    let outcome = outcome(answer, .probe)
    #expect(isBlocked(outcome, .configuration))
    #expect(outcome.words.contains("https://portal/login"))
  }

  @Test("a sentence from the server is kept short")
  func shortWords() {
    let text = String(repeating: "long ", count: 10_000)
    #expect(outcome(400, text, .chunk(Harness.chunk(count: 1))).words.utf8.count <= 200)
  }
}

@Suite("Outcome table: no answer")
struct NoAnswerTests {
  @Test(
    "without an answer the destination is unreachable",
    arguments: [
      CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_PARTIAL_FILE,
      CURLE_OPERATION_TIMEDOUT, CURLE_SSL_CONNECT_ERROR, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR,
      CURLE_SEND_FAIL_REWIND, CURLE_PROXY,
    ].map(\.rawValue))
  func unreachable(code: UInt32) {
    let outcome = outcome(.failed(code: code, "the reason"), .probe)
    #expect(outcome.isUnreachable)
    #expect(outcome.words.contains("the reason"))
  }

  @Test(
    "what a person must mend pauses the destination",
    arguments: [
      CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CERTPROBLEM,
      CURLE_SSL_CIPHER, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CRL_BADFILE, CURLE_URL_MALFORMAT,
      CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED,
    ].map(\.rawValue))
  func configuration(code: UInt32) {
    #expect(isBlocked(outcome(.failed(code: code, "the reason"), .probe), .configuration))
  }

  @Test("an untrusted certificate says how to mend it")
  func untrusted() {
    let result = HTTPResult.failed(code: CURLE_PEER_FAILED_VERIFICATION.rawValue, "self-signed")
    #expect(outcome(result, .probe).words.contains("--ca-file"))
  }

  @Test("TLS spoken to a plain port is a wrong address, not a lost connection")
  func plainPort() {
    let words = "error:0A00010B:SSL routines::wrong version number"
    #expect(isBlocked(outcome(.failed(code: CURLE_SSL_CONNECT_ERROR.rawValue, words), .probe), .configuration))
  }

  @Test(
    "anything else is tried again",
    arguments: [
      CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT, CURLE_WRITE_ERROR,
      CURLE_READ_ERROR, CURLE_ABORTED_BY_CALLBACK, CURLE_HTTP2,
    ].map(\.rawValue))
  func passing(code: UInt32) {
    guard case .retryable(let words, nil) = outcome(.failed(code: code, "the reason"), .probe) else {
      Issue.record("\(code) is not retryable")
      return
    }
    #expect(words.contains("the reason"))
  }

  @Test("a stall says how long it was, an answer without an end says so")
  func stalled() {
    #expect(outcome(.stalled(.seconds(60)), .probe) == .unreachable("no byte moved for 60 s"))
    #expect(outcome(.endless, .probe) == .retryable("http://there sent an answer without an end", after: nil))
  }
}

private let everyPayload: [UploadPayload] = [
  .announce(Harness.announcement), .chunk(Harness.chunk(count: 10)), .complete(Harness.manifest()), .probe,
]

private func outcome(_ result: HTTPResult, _ payload: UploadPayload) -> TransferOutcome {
  OutcomeTable.outcome(of: result, for: payload, at: "http://there")
}

private func outcome(_ answer: HTTPAnswer, _ payload: UploadPayload) -> TransferOutcome {
  outcome(.answered(answer), payload)
}

private func outcome(_ status: Int, _ text: String, _ payload: UploadPayload) -> TransferOutcome {
  outcome(HTTPAnswer(status: status, body: Array(text.utf8)), payload)
}

private func receipt(_ chunk: ChunkPayload) -> String {
  """
  {"session_id":"\(chunk.chunk.session)","chunk_index":\(chunk.chunk.index),"chunk_version":\(chunk.version),\
  "bytes":\(chunk.bytes.count),"sha256":"\(chunk.digest)"}
  """
}

private func error(_ code: String, _ message: String) -> String { #"{"error":"\#(code)","message":"\#(message)"}"# }

private func isBlocked(_ outcome: TransferOutcome, _ reason: BlockReason) -> Bool {
  if case .blocked(reason, _) = outcome { true } else { false }
}

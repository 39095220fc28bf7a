import S3Protocol
import Testing

@Suite("answers that say no")
struct AnswerTableTests {
  @Test("each error code has its meaning", arguments: [
    ("NoSuchBucket", 404, S3Meaning.misconfigured), ("AccessDenied", 403, .credentialsRefused),
    ("SignatureDoesNotMatch", 403, .credentialsRefused), ("InvalidAccessKeyId", 403, .credentialsRefused),
    ("ExpiredToken", 400, .credentialsRefused), ("RequestTimeTooSkewed", 403, .clockSkewed),
    ("SlowDown", 503, .throttled), ("RequestTimeout", 400, .transient), ("InternalError", 500, .transient),
    ("ServiceUnavailable", 503, .transient), ("OperationAborted", 409, .transient), ("NoSuchUpload", 404, .uploadGone),
    ("InvalidPart", 400, .partsDisagree), ("InvalidPartOrder", 400, .partsDisagree),
    ("EntityTooSmall", 400, .partsDisagree), ("EntityTooLarge", 400, .full), ("QuotaExceeded", 403, .full),
    ("InsufficientCapacity", 507, .full), ("NotImplemented", 501, .unsupported), ("BadDigest", 400, .damaged),
    ("XAmzContentSHA256Mismatch", 400, .damaged), ("IncompleteBody", 400, .damaged), ("NoSuchKey", 404, .objectMissing),
    ("PreconditionFailed", 412, .objectChanged), ("ConditionalRequestConflict", 409, .conflict),
    ("KeyTooLongError", 400, .rejected), ("MetadataTooLarge", 400, .rejected), ("KMS.DisabledException", 400, .misconfigured),
    ("AuthorizationHeaderMalformed", 400, .wrongRegion(nil)), ("NeverSeen", 400, .rejected), ("NeverSeen", 500, .transient),
  ])
  func codes(code: String, status: Int, meaning: S3Meaning) {
    let refusal = S3AnswerTable.refusal(
      of: xml("<Error><Code>\(code)</Code><Message>Their words.</Message></Error>", status: status), to: .uploadPart, at: takes)
    #expect(refusal.meaning == meaning)
    #expect(refusal.code == code)
    #expect(refusal.words.hasSuffix("(\(code): Their words.)"))
  }

  @Test("an object or part that is too large for the store means its quota, a whole recording that is means the recording")
  func tooLarge() {
    let answer = xml("<Error><Code>EntityTooLarge</Code></Error>", status: 413)
    for operation in [S3Operation.putObject, .uploadPart] {
      #expect(S3AnswerTable.refusal(of: answer, to: operation, at: takes).meaning == .full)
    }
    #expect(S3AnswerTable.refusal(of: answer, to: .completeUpload, at: takes).meaning == .rejected)
  }

  @Test("each status without a code has its meaning", arguments: [
    (301, S3Meaning.misconfigured), (307, .transient), (400, .rejected), (401, .credentialsRefused),
    (403, .credentialsRefused), (402, .full), (404, .misconfigured), (405, .unsupported), (407, .credentialsRefused),
    (408, .transient), (409, .conflict), (412, .objectChanged), (413, .rejected), (416, .objectChanged),
    (418, .rejected), (429, .throttled), (500, .transient), (501, .unsupported), (502, .unreachable), (503, .throttled),
    (504, .unreachable), (507, .full), (599, .transient),
  ])
  func statuses(status: Int, meaning: S3Meaning) {
    let refusal = S3AnswerTable.refusal(of: xml("<html>nginx</html>", status: status), to: .uploadPart, at: takes)
    #expect(refusal.meaning == meaning)
    #expect(refusal.code == nil)
    #expect(!refusal.words.isEmpty)
  }

  @Test("a bucket elsewhere is told with its region", arguments: [
    xml("", status: 301, headers: ["x-amz-bucket-region": "us-west-2"]),
    xml("", status: 400, headers: ["x-amz-bucket-region": "us-west-2"]),
    xml("", status: 307, headers: ["x-amz-bucket-region": "us-west-2", "location": "https://else"]),
    xml("<Error><Code>PermanentRedirect</Code></Error>", status: 301, headers: ["x-amz-bucket-region": "us-west-2"]),
    xml("<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>", status: 400),
  ])
  func regions(answer: S3Answer) {
    let refusal = S3AnswerTable.refusal(of: answer, to: .headBucket, at: takes)
    #expect(refusal.meaning == .wrongRegion("us-west-2"))
    #expect(
      refusal.words.hasPrefix("the bucket takes is in the region us-west-2, not in eu-west-1; set AWS_REGION=us-west-2"))
  }

  @Test("our own region in an answer changes nothing")
  func sameRegion() {
    let answer = xml("<Error><Code>AccessDenied</Code></Error>", status: 403, headers: ["x-amz-bucket-region": "eu-west-1"])
    #expect(S3AnswerTable.refusal(of: answer, to: .headBucket, at: takes).meaning == .credentialsRefused)
  }

  @Test("what is missing depends on what was asked")
  func missing() {
    func meaning(_ operation: S3Operation, _ text: String = "") -> S3Meaning {
      S3AnswerTable.refusal(of: xml(text, status: 404), to: operation, at: takes).meaning
    }
    #expect(meaning(.headBucket) == .misconfigured)
    #expect(meaning(.headObject) == .objectMissing)
    #expect(meaning(.getObject, "<Error><Code>NoSuchKey</Code></Error>") == .objectMissing)
    #expect(meaning(.completeUpload, "<Error><Code>NoSuchUpload</Code></Error>") == .perhapsCompleted)
    #expect(meaning(.uploadPart, "<Error><Code>NoSuchUpload</Code></Error>") == .uploadGone)
    #expect(meaning(.uploadPart, "<html>404</html>") == .misconfigured)
  }

  @Test("sentences name what is wrong and what to do, in one line, whatever the server writes")
  func sentences() {
    let answer = xml(
      "<Error><Code>NoSuchBucket</Code><Message>The\n\tbucket\u{7} \(String(repeating: "x", count: 5_000))</Message></Error>",
      status: 404)
    let words = S3AnswerTable.refusal(of: answer, to: .putObject, at: takes).words
    #expect(
      words.hasPrefix(
        "there is no bucket takes at nas:9000; create it, or name another one after s3:// (NoSuchBucket: The bucket x"))
    #expect(words.count < 400)
    #expect(words.unicodeScalars.allSatisfy { $0.value >= 0x20 })
  }

  @Test("Retry-After in seconds, as a date that counts from the answer's own, and in Amazon's milliseconds")
  func retryAfter() {
    func seconds(_ headers: [String: String]) -> Int64? { S3Answer(status: 503, headers: headers).retryAfter }
    #expect(seconds(["retry-after": "7"]) == 7)
    #expect(seconds(["retry-after": "99999999999"]) == Int64(31_622_400))
    #expect(seconds(["retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"]) == 60)
    #expect(seconds(["retry-after": "Sun, 06 Nov 1994 08:40:37 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"]) == 0)
    #expect(seconds(["retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"]) == nil)
    #expect(seconds(["retry-after": "soon"]) == nil)
    #expect(seconds(["retry-after": "-1"]) == nil)
    #expect(seconds(["x-amz-retry-after": "1500", "retry-after": "9"]) == 2)
    #expect(seconds([:]) == nil)
  }

  @Test("the server's time", arguments: [
    ("Sun, 06 Nov 1994 08:49:37 GMT", Int64(784_111_777)), ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
    ("Sunday, 06-Nov-94 08:49:37 GMT", nil), ("Sun Nov  6 08:49:37 1994", nil), ("Sun, 06 Nov 1994 25:49:37 GMT", nil),
    ("", nil),
  ])
  func serverTime(text: String, seconds: Int64?) {
    #expect(S3Answer(status: 403, headers: ["date": text]).serverTime == seconds)
  }
}

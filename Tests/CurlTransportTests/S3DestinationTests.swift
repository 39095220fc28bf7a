import CurlTransport
import S3Protocol
import Testing
import UploadCore
import UploadProtocol

@Suite("S3 conversations, with scripted answers")
struct S3DestinationTests {
  // MARK: Completing

  @Test("the answer to Complete was lost: the object itself tells that it is whole")
  func lostAnswer() throws {
    var take = try Take.uploaded()
    let etag = try #require(take.objectETag)
    let (outcome, requests) = take.play(
      .complete(Take.session),
      [.error(404, "NoSuchUpload"), HTTPAnswer(status: 200, headers: ["content-length": "17825792", "etag": "\"\(etag)\""])])
    #expect(outcome.facts?.map(\.name) == ["s3.upload", "s3.object"])
    #expect(requests.map(\.method) == [.post, .head])
    #expect(take.play(.complete(Take.session), []).outcome == .completed(revision: 1))
  }

  @Test(
    "the upload is gone and the object is another one, or none: everything is sent again",
    arguments: [
      HTTPAnswer(status: 404), HTTPAnswer(status: 200, headers: ["content-length": "17825792", "etag": "\"\(Take.md5)-2\""]),
      HTTPAnswer(status: 200, headers: ["content-length": "5", "etag": "\"x\""]),
    ])
  func goneUpload(object: HTTPAnswer) throws {
    var take = try Take.uploaded()
    let (outcome, _) = take.play(.complete(Take.session), [.error(404, "NoSuchUpload"), object])
    guard case .rolledBack(to: 0, _) = outcome else { Issue.record("\(outcome)"); return }
    #expect(take.remote.isEmpty)
  }

  @Test("200 with an error in it is an error")
  func errorInSuccess() throws {
    var take = try Take.uploaded()
    let (outcome, _) = take.play(.complete(Take.session), [.error(200, "InternalError")])
    guard case .retryable = outcome else { Issue.record("\(outcome)"); return }
    #expect(take.play(.complete(Take.session), [.error(200, "NoSuchUpload"), HTTPAnswer(status: 503)]).outcome.isThrottled)
    #expect(take.remote["s3.upload"] != nil)
  }

  @Test("parts that changed since are named as missing, and nothing is asked of the store")
  func changedPart() throws {
    var take = try Take.uploaded()
    take.version = ChunkVersion(2)
    let (outcome, requests) = take.play(.complete(Take.session), [])
    #expect(outcome == .incomplete(missing: Array(0..<17)))
    #expect(requests.isEmpty)
  }

  @Test("shrunk to one part, the upload is completed with it; shrunk to nothing, it is ended and an empty object put")
  func shrunk() throws {
    var take = try Take.uploaded()
    take.chunks = 16
    let (outcome, requests) = take.play(.complete(Take.session), [.completed("\(Take.md5)-1")])
    #expect(outcome.facts?.count == 2 && requests.count == 1)

    var empty = try Take.uploaded()
    empty.chunks = 0
    let (ended, abort) = empty.play(.complete(Take.session), [HTTPAnswer(status: 204)])
    #expect(abort.map(\.method) == [.delete] && ended.facts != nil && empty.remote.isEmpty)
    let (stored, put) = empty.play(
      .complete(Take.session), [HTTPAnswer(status: 200, headers: ["etag": "\"d41d8cd98f00b204e9800998ecf8427e\""])])
    #expect(put.map(\.method) == [.put] && stored.facts?.map(\.name) == ["s3.part.1", "s3.object"])
  }

  // MARK: Parts

  @Test("a part of a forgotten upload: everything is sent again, with a new upload")
  func forgottenUpload() throws {
    var take = try Take.uploaded()
    let (outcome, _) = take.play(.run(Take.tail), [.error(404, "NoSuchUpload")])
    guard case .rolledBack(to: 0, _) = outcome else { Issue.record("\(outcome)"); return }
    #expect(take.play(.announce(Take.session), [.created("u2")]).outcome.facts?.map(\.name) == ["s3.upload"])
  }

  @Test("a part whose ETag is not the MD5 of what was sent counts as damaged; an ETag that is no MD5 does not")
  func otherETag() throws {
    var take = try Take.uploaded()
    let other = HTTPAnswer(status: 200, headers: ["etag": "\"00000000000000000000000000000000\""])
    #expect(take.play(.run(Take.tail), [other]).outcome.isCorrupted)
    guard case .runStored = take.play(.run(Take.tail), [HTTPAnswer(status: 200, headers: ["etag": "\"sse-kms\""])]).outcome else {
      Issue.record("not stored")
      return
    }
  }

  @Test("a run without an upload begins one first")
  func unknownUpload() throws {
    var take = try Take()
    #expect(take.play(.run(Take.tail), []).outcome == .sessionUnknown)
  }

  @Test("a renamed recording's upload is ended and begun anew")
  func renamed() throws {
    var take = try Take.uploaded()
    take.path = "other.wav"
    let (outcome, requests) = take.play(.announce(Take.session), [HTTPAnswer(status: 204)])
    guard case .rolledBack(to: 0, _) = outcome else { Issue.record("\(outcome)"); return }
    #expect(requests.map(\.method) == [.delete])
  }

  @Test("a recording renamed after it was completed is put together anew by copies, and nothing of it counts as lost")
  func renamedWhole() throws {
    var take = try Take.uploaded()
    _ = take.play(.complete(Take.session), [.completed("\(Take.md5)-2")])
    (take.path, take.revision, take.isSynced) = ("other.wav", 2, true)
    #expect(take.play(.announce(Take.session), []).outcome == .rolledBack(to: 17, []))
    (take.revision, take.isSynced) = (3, false)
    #expect(take.play(.announce(Take.session), [.created("u2")]).outcome.facts?.count == 1)
    let copied = HTTPAnswer.document("<CopyPartResult><ETag>\"\(Take.md5)\"</ETag></CopyPartResult>")
    let (_, requests) = take.play(.complete(Take.session), [copied, copied])
    #expect(requests.allSatisfy { $0.url.contains("/other.wav?") && $0.headers.contains { $0.hasSuffix("takes/day/take.wav") } })
  }

  @Test("new attributes of a completed recording begin no upload")
  func attributes() throws {
    var take = try Take.uploaded()
    _ = take.play(.complete(Take.session), [.completed("\(Take.md5)-2")])
    (take.revision, take.isSynced) = (2, true)
    guard case .announced = take.play(.announce(Take.session), []).outcome else { Issue.record("not announced"); return }
  }

  // MARK: Copies

  @Test("a store that cannot copy parts is sent them")
  func copyRefused() throws {
    var take = try Take.uploaded()
    _ = take.play(.complete(Take.session), [.completed("\(Take.md5)-2")])
    take.revision = 2
    _ = take.play(.announce(Take.session), [.created("u2")])
    let (outcome, requests) = take.play(.complete(Take.session), [.error(501, "NotImplemented")])
    #expect(requests.map(\.method) == [.put])
    #expect(requests[0].headers.contains { $0.hasPrefix("x-amz-copy-source-range: bytes=0-") })
    guard case .rolledBack(to: 0, _) = outcome else { Issue.record("\(outcome)"); return }
    // The object is remembered, for evicted bytes, but not copied from any more: the parts are asked for.
    #expect(take.remote["s3.object"] != nil)
    _ = take.play(.announce(Take.session), [.created("u3")])
    #expect(take.play(.complete(Take.session), []).outcome == .incomplete(missing: Array(0..<17)))
  }

  @Test("unchanged parts are copied, all of them in one transfer, and then completed")
  func copied() throws {
    var take = try Take.uploaded()
    _ = take.play(.complete(Take.session), [.completed("\(Take.md5)-2")])
    take.revision = 2
    _ = take.play(.announce(Take.session), [.created("u2")])
    let copied = HTTPAnswer.document("<CopyPartResult><ETag>\"\(Take.md5)\"</ETag></CopyPartResult>")
    let (outcome, requests) = take.play(.complete(Take.session), [copied, copied])
    #expect(requests.count == 2 && outcome.facts?.map(\.name) == ["s3.part.1", "s3.part.2"])
    #expect(take.play(.complete(Take.session), [.completed("\(Take.md5)-2")]).outcome.facts?.count == 2)
    #expect(take.play(.complete(Take.session), []).outcome == .completed(revision: 2))
  }

  // MARK: Region, clock, keys

  @Test("a bucket in another region is asked there at once, and from then on")
  func region() throws {
    var take = try Take()
    let moved = HTTPAnswer(status: 301, headers: ["x-amz-bucket-region": "eu-west-1"])
    let (outcome, requests) = take.play(.probe, [moved, HTTPAnswer(status: 200)])
    #expect(outcome == .reachable)
    #expect(requests.map { $0.authorization.contains("/eu-west-1/s3/") } == [false, true])
    #expect(take.play(.probe, [HTTPAnswer(status: 200)]).requests[0].authorization.contains("/eu-west-1/"))
  }

  @Test("two regions that each name the other are not asked for ever")
  func regionLoop() throws {
    var take = try Take()
    let answers = (0..<4).map { number in
      HTTPAnswer(status: 301, headers: ["x-amz-bucket-region": number % 2 == 0 ? "eu-west-1" : "us-east-1"])
    }
    let (outcome, requests) = take.play(.probe, answers)
    #expect(requests.count == 4)
    guard case .blocked(.configuration, _) = outcome else { Issue.record("\(outcome)"); return }
  }

  @Test(
    "a clock that is wrong is made up for, also where a refusal of HEAD says nothing but the time",
    arguments: [HTTPAnswer.error(403, "RequestTimeTooSkewed"), HTTPAnswer(status: 403)])
  func clock(refusal: HTTPAnswer) throws {
    var take = try Take()
    var refusal = refusal
    refusal.headers["date"] = "Sun, 06 Nov 1994 08:49:37 GMT"
    let (outcome, requests) = take.play(.probe, [refusal, HTTPAnswer(status: 200)])
    #expect(outcome == .reachable)
    #expect(requests.map { $0.authorization.contains("19941106/") } == [false, true])
  }

  @Test("a refusal whose time is ours is about the keys")
  func refusedKeys() throws {
    var take = try Take()
    let (outcome, requests) = take.play(.probe, [HTTPAnswer(status: 403)])
    guard case .blocked(.credentials, _) = outcome else { Issue.record("\(outcome)"); return }
    #expect(requests.count == 1)
  }

  @Test("refused keys are looked for again where they were found")
  func otherKeys() throws {
    let found = try S3Credentials(accessKeyID: "NEW", secretAccessKey: "s", from: "the test")
    var take = try Take(found: found)
    let (outcome, requests) = take.play(.probe, [.error(403, "ExpiredToken"), HTTPAnswer(status: 200)])
    #expect(outcome == .reachable)
    #expect(requests.map { $0.authorization.contains("Credential=NEW/") } == [false, true])
    // The same again is not worth a request.
    #expect(take.play(.probe, [.error(403, "ExpiredToken")]).requests.count == 1)
  }
}

/// A recording of 17 chunks, two parts, and what a journal would remember of it.
private struct Take {
  static let session = SessionID(number: 7)
  static let tail = ChunkRun(session, 16..<17)
  /// Of the bytes that stand for any part's.
  static let md5 = S3ETag.ofContent(content)

  var destination: S3Destination
  var remote: [String: String] = [:]
  var chunks = 17
  var revision: Int64 = 1
  var version = ChunkVersion(1)
  var path = "take.wav"
  var isSynced = false

  private static let bytes = Array("bytes".utf8)
  private static var content: S3Content {
    var digester = S3ContentDigester()
    digester.update(bytes)
    return digester.finished()
  }

  init(found: S3Credentials? = nil) throws {
    let location = try S3Location(
      bucket: "takes", prefix: "day", endpoint: try S3Endpoint("http://s3.test"), region: "us-east-1")
    let credentials = try S3Credentials(accessKeyID: "OLD", secretAccessKey: "s", from: "the test")
    destination = S3Destination(
      S3Store(location: location, credentials: credentials, currentCredentials: { found }), policy: UploadPolicy())
  }

  /// Both parts are stored, nothing is completed.
  static func uploaded() throws -> Take {
    var take = try Take()
    let part = HTTPAnswer(status: 200, headers: ["etag": "\"\(md5)\""])
    try #require(take.play(.announce(session), [.created("u1")]).outcome.facts != nil)
    try #require(take.play(.run(tail), [part]).outcome.facts != nil)
    try #require(take.play(.run(ChunkRun(session, 0..<16)), [part]).outcome.facts != nil)
    return take
  }

  var objectETag: String? {
    S3ETag.ofObject(parts: [S3Part(number: 1, etag: Self.md5), S3Part(number: 2, etag: Self.md5)])
  }

  /// Gives one answer after the other, and remembers the facts of the outcome.
  mutating func play(_ request: UploadRequest, _ answers: [HTTPAnswer]) -> (outcome: TransferOutcome, requests: [HTTPRequest]) {
    var answers = answers[...]
    var requests: [HTTPRequest] = []
    var step = destination.begin(request == .probe ? .probe : .exchange(exchange(request)), bytesPerSecondMax: nil)
    while true {
      switch step {
      case .send(let http, let then):
        requests.append(http)
        guard let answer = answers.popFirst() else {
          Issue.record("\(http.method) \(http.url) was not expected")
          return (.stale, requests)
        }
        step = then(.answered(answer))
      case .end(let outcome), .discovered(_, let outcome):
        #expect(answers.isEmpty, "so many answers were not asked for: \(answers.count)")
        for fact in outcome.facts ?? [] { remote[fact.name] = fact.value }
        return (outcome, requests)
      }
    }
  }

  private func exchange(_ request: UploadRequest) -> SessionExchange {
    let (chunks, version) = (chunks, version)
    let digest = ChunkDigest(bytes: [UInt8](repeating: 1, count: 32))!
    return SessionExchange(
      request: request,
      announcement: SessionAnnouncement(session: Self.session, facts: SessionFacts(path: Array(path.utf8), inode: 1)),
      revision: revision, size: Int64(chunks) << 20, isFinished: true, isSynced: isSynced, remote: remote,
      rows: { indexes throws(SourceError) in
        indexes.clamped(to: 0..<chunks).map { ChunkRow(index: $0, version: version, state: .sealed, bytes: 1 << 20, digest: nil) }
      },
      read: { indexes throws(SourceError) in
        RunSnapshot(
          chunks: indexes.map { StoredChunk(index: $0, version: version, digest: digest) }, bytes: Self.bytes)
      })
  }
}

extension TransferOutcome {
  /// What it gives the journal to remember.
  fileprivate var facts: [RemoteFact]? {
    switch self {
    case .runStored(_, let facts), .advanced(let facts), .rolledBack(_, let facts): facts
    default: nil
    }
  }

  fileprivate var isThrottled: Bool { if case .throttled = self { true } else { false } }
}

extension HTTPAnswer {
  fileprivate static func document(_ text: String, _ status: Int = 200) -> HTTPAnswer {
    HTTPAnswer(status: status, headers: [:], body: Array(text.utf8))
  }

  fileprivate static func error(_ status: Int, _ code: String) -> HTTPAnswer {
    document("<Error><Code>\(code)</Code></Error>", status)
  }

  fileprivate static func created(_ id: String) -> HTTPAnswer {
    document("<InitiateMultipartUploadResult><UploadId>\(id)</UploadId></InitiateMultipartUploadResult>")
  }

  fileprivate static func completed(_ etag: String) -> HTTPAnswer {
    document("<CompleteMultipartUploadResult><ETag>\"\(etag)\"</ETag></CompleteMultipartUploadResult>")
  }
}

extension HTTPRequest {
  fileprivate var authorization: String { headers.first { $0.lowercased().hasPrefix("authorization:") } ?? "" }
}

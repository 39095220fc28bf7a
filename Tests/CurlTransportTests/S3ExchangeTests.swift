import CurlTransport
import FaultyServer
import S3Protocol
import Testing
import UploadCore

@Suite("S3 requests on the wire")
struct S3ExchangeTests {
  private let key = try! S3Key("a/../b//c+d=é(1)'!.wav")

  @Test("path, query and every header arrive as they were signed; a body without bytes has a length")
  func wire() throws {
    let upload = S3Upload(key: key, id: "id+/=")
    var digester = S3ContentDigester()
    let pieces = [Array("hello ".utf8), Array("world".utf8)]
    for piece in pieces { digester.update(piece) }
    let metadata = S3Metadata(attributes: ["empty": [], "spaces": Array("a  b".utf8)])
    let requests: [(S3Request, [[UInt8]])] = [
      (.uploadPart(7, of: upload, digester.finished()), pieces), (.createUpload(key, metadata: metadata), []),
      (.putObject(key, S3ContentDigester().finished()), []), (.listUploads(below: [0x20]), []), (.abortUpload(upload), []),
      (.completeUpload(upload, parts: [S3Part(number: 1, etag: "e")]), []),
    ]
    let server = try FaultyServer(keepsBodies: true, script: [.answer(Answer(200))])
    for (request, content) in requests {
      let signed = try signed(request, server)
      _ = try answer(to: HTTPRequest(signed, content: content, stallTimeout: .seconds(20)))
      let received = try #require(server.requests.last)
      #expect(received.head.method == signed.method.rawValue)
      #expect(server.url + received.head.target == signed.url)
      for header in signed.headers {
        #expect(received.head.headers.count { $0.lowercased().hasPrefix(header.name + ":") } == 1, "\(header)")
        #expect(received.head.header(header.name) == header.value)
      }
      #expect(Int64(received.body.count) == signed.body.count)
      if signed.method == .put || signed.method == .post {
        #expect(received.head.header("content-length") == String(signed.body.count))
      }
      if !content.isEmpty { #expect(received.body == content.flatMap { $0 }) }
    }
  }

  @Test("an answer to HEAD has a length, and no body is waited for")
  func head() throws {
    let head = "HTTP/1.1 200 Fine\r\nContent-Length: 32\r\nETag: \"e\"\r\n\r\n"
    let whole = Answer(200, headers: ["ETag: \"e\""], body: [UInt8](repeating: 0, count: 32))
    let server = try FaultyServer(script: [.cutAnswer(whole, afterBytes: head.utf8.count)])
    let answer = S3Answer(
      try answer(to: HTTPRequest(try signed(.headObject(key), server), stallTimeout: .seconds(20))))
    #expect(answer == S3Answer(status: 200, headers: ["content-length": "32", "etag": "\"e\""]))
  }

  @Test("the headers of an answer that S3 speaks in are kept")
  func headers() throws {
    let server = try FaultyServer(script: [
      .answer(
        Answer(
          301,
          headers: [
            "x-amz-bucket-region: us-west-2", "ETag: \"e\"", "Retry-After: 7", "Date: Sun, 06 Nov 1994 08:49:37 GMT",
            "Server: s",
          ]))
    ])
    let answer = S3Answer(try answer(to: HTTPRequest(try signed(.getObject(key), server), stallTimeout: .seconds(20))))
    #expect(
      answer.headers.filter { S3Answer.headerNames.contains($0.key) } == [
        "x-amz-bucket-region": "us-west-2", "etag": "\"e\"", "retry-after": "7", "content-length": "0",
        "date": "Sun, 06 Nov 1994 08:49:37 GMT",
      ])
    #expect(answer.retryAfter == 7 && answer.serverTime == 784_111_777)
  }

  private func signed(_ request: S3Request, _ server: FaultyServer) throws -> S3SignedRequest {
    let location = try S3Location(
      bucket: "takes", prefix: "", endpoint: try S3Endpoint(server.url), region: "us-east-1")
    let credentials = try S3Credentials(accessKeyID: "A", secretAccessKey: "s", sessionToken: "t", from: "the test")
    var signer = S3Signer(credentials: credentials, region: "us-east-1")
    return signer.sign(request, to: location, at: SigningTime(secondsSince1970: 1_000_000_000))
  }

  private func answer(to request: HTTPRequest) throws -> HTTPAnswer {
    let clock = SystemClock()
    let engine = try HTTPEngine(
      HTTPEngine.Configuration(parallel: 1, unacknowledgedMax: .seconds(20), noProxy: "*"), clock: clock)
    engine.start(TransferID(1), request)
    let end = clock.now + .seconds(30)
    while clock.now < end {
      for case .finished(_, let result) in engine.poll(until: end) {
        guard case .answered(let answer) = result else { throw NoAnswer(result: result) }
        return answer
      }
    }
    throw NoAnswer(result: .stalled(.seconds(30)))
  }

  private struct NoAnswer: Error {
    let result: HTTPResult
  }
}

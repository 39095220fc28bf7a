import CurlTransport
import FaultyServer
import Testing
import UploadCore
import UploadProtocol

@Suite("Transfers against a server")
struct TransferTests {
  @Test("every kind of request reaches a healthy receiver")
  func healthy() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    let chunk = Harness.chunk()

    #expect(try harness.outcome(of: .probe) == .reachable)
    #expect(try harness.outcome(of: .announce(Harness.announcement)) == .announced(Harness.facts))
    #expect(try harness.outcome(of: .chunk(chunk)) == Harness.stored(chunk))
    #expect(try harness.outcome(of: .complete(Harness.manifest())) == .completed(revision: 9))
  }

  @Test("a chunk arrives whole, with its headers, and never with Expect")
  func headers() throws {
    let server = try FaultyServer(keepsBodies: true, behave: receiver)
    let harness = try Harness(server.url + "/")
    let chunk = Harness.chunk(4)
    _ = try harness.outcome(of: .chunk(chunk))

    let request = try #require(server.requests.first)
    #expect(request.body == chunk.bytes)
    #expect(request.head.header("Session-Id") == "sess_0000000000001234")
    #expect(request.head.header("Chunk-Index") == "4")
    #expect(request.head.header("Chunk-Version") == "3")
    #expect(request.head.header("Content-Digest")?.hasPrefix("sha-256=:") == true)
    #expect(request.head.header("Upload-Writer") == "writer-1")
    #expect(request.head.header("Authorization") == "Bearer secret")
    #expect(request.head.header("Expect") == nil)
    #expect(request.head.header("Transfer-Encoding") == nil)
    #expect(request.head.contentLength == chunk.bytes.count)
  }

  @Test("a thousand chunks use no more connections than transfers at once")
  func reuse() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url, parallel: 4)
    var next: UInt64 = 0
    var stored = 0
    func startNext() {
      guard next < 1_000 else { return }
      harness.start(.chunk(Harness.chunk(Int(next), count: 2_000)), id: next)
      next += 1
    }

    for _ in 0..<4 { startNext() }
    while stored < 1_000 {
      let outcomes = harness.outcomes(count: 1)
      try #require(!outcomes.isEmpty)
      for case .stored in outcomes.values {
        stored += 1
        startNext()
      }
    }

    #expect(server.connectionCount <= 4)
    #expect(server.requests.count == 1_000)
  }

  @Test("a reused connection that turns out to be dead is replaced without a word, and the body is sent again whole")
  func staleConnection() throws {
    let server = try FaultyServer(keepsBodies: true) { head in
      head.number == 1 ? .reset(afterBodyBytes: 300_000) : .answer(.receipt(for: head))
    }
    let harness = try Harness(server.url)
    let chunk = Harness.chunk(1)
    _ = try harness.outcome(of: .chunk(Harness.chunk(0)), id: 1)

    #expect(try harness.outcome(of: .chunk(chunk), id: 2) == Harness.stored(chunk))

    let bodies = server.requests.map(\.body)
    try #require(bodies.count == 3)
    #expect(bodies[1] == Array(chunk.bytes[..<300_000]))
    #expect(bodies[2] == chunk.bytes)
    #expect(server.connectionCount == 2)
  }

  @Test("a connection that the server closed while idle is not an error")
  func closedWhileIdle() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    _ = try harness.outcome(of: .probe)
    server.cutConnections()
    #expect(harness.poll { server.openConnections == 0 })

    #expect(try harness.outcome(of: .probe) == .reachable)
  }

  @Test("no answer at all is unreachable, in a sentence", arguments: [0, 500_000])
  func lostConnection(bytes: Int) throws {
    for behaviour in [Behaviour.cut(afterBodyBytes: bytes), .reset(afterBodyBytes: bytes)] {
      let server = try FaultyServer(script: [behaviour])
      let outcome = try Harness(server.url).outcome(of: .chunk(Harness.chunk()))
      #expect(outcome.isUnreachable)
      #expect(outcome.words.contains("connection to \(server.url) lost"))
    }
  }

  @Test("an answer cut short is unreachable")
  func cutAnswer() throws {
    let server = try FaultyServer { .cutAnswer(.receipt(for: $0), afterBytes: 80) }
    #expect(try Harness(server.url).outcome(of: .chunk(Harness.chunk())).isUnreachable)
  }

  @Test("a refused connection is unreachable, at once")
  func refused() throws {
    let server = try FaultyServer(behave: receiver)
    server.setRefusing(true)
    let outcome = try Harness(server.url).outcome(of: .probe)
    #expect(outcome.isUnreachable)
    #expect(outcome.words.contains("no connection to"))
  }

  @Test("an answer that is not HTTP is tried again")
  func garbage() throws {
    let server = try FaultyServer(script: [.garbage(Array("SSH-2.0-OpenSSH\r\n".utf8))])
    guard case .retryable = try Harness(server.url).outcome(of: .chunk(Harness.chunk())) else {
      Issue.record("not retryable")
      return
    }
  }

  @Test("a second answer to one request is not taken for the next one's")
  func twoAnswers() throws {
    let server = try FaultyServer { head in
      head.number == 0 ? .answerTwice(.receipt(for: head)) : .answer(.receipt(for: head))
    }
    let harness = try Harness(server.url)
    let (first, second) = (Harness.chunk(0), Harness.chunk(1))

    #expect(try harness.outcome(of: .chunk(first), id: 1) == Harness.stored(first))
    #expect(try harness.outcome(of: .chunk(second), id: 2) == Harness.stored(second))
  }

  @Test("an answer without an end is given up, not collected")
  func endless() throws {
    let server = try FaultyServer(script: [.endless])
    let outcome = try Harness(server.url).outcome(of: .probe)
    #expect(outcome.words.contains("without an end"))
  }

  @Test("a refusal sent before the body was read is understood")
  func earlyRefusal() throws {
    let refusal = Answer.json(401, #"{"error":"unauthorized","message":"wrong token"}"#)
    let server = try FaultyServer(script: [.answerEarly(refusal)])
    guard case .blocked(.credentials, _) = try Harness(server.url).outcome(of: .chunk(Harness.chunk())) else {
      Issue.record("not blocked for credentials")
      return
    }
  }

  @Test("Retry-After and Location are read from the answer's head")
  func answerHeaders() throws {
    let server = try FaultyServer(script: [
      .answer(Answer(503, headers: ["retry-after:  12"])), .answer(Answer(302, headers: ["Location: http://portal/"])),
    ])
    let harness = try Harness(server.url)
    guard case .throttled(_, .seconds(12)) = try harness.outcome(of: .probe, id: 1) else {
      Issue.record("not throttled for 12 s")
      return
    }
    #expect(try harness.outcome(of: .probe, id: 2).words.contains("http://portal/"))
  }
}

import CurlTransport
import FaultyServer
import Testing
import UploadCore

@Suite("A faulty network between client and server")
struct ProxyTests {
  @Test("a proxy without faults changes nothing")
  func clean() throws {
    let line = try Line()
    let chunk = Harness.chunk()
    #expect(try line.harness.outcome(of: .chunk(chunk)) == Harness.stored(chunk))
    #expect(line.server.requests.first?.body == chunk.bytes)
  }

  @Test("a connection cut on the way, either way, is unreachable", arguments: [false, true])
  func cut(byReset: Bool) throws {
    for direction in [\ProxyFaults.cutAfterRequestBytes, \ProxyFaults.cutAfterAnswerBytes] {
      var faults = ProxyFaults()
      faults[keyPath: direction] = 60
      faults.cutsByReset = byReset
      let line = try Line(faults)
      #expect(try line.harness.outcome(of: .chunk(Harness.chunk())).isUnreachable)
    }
  }

  @Test("a network that refuses is unreachable, and reached again once it is back")
  func refuse() throws {
    let line = try Line()
    var faults = ProxyFaults()
    faults.isRefusing = true
    line.proxy.set(faults)
    #expect(try line.harness.outcome(of: .probe, id: 1).isUnreachable)

    line.proxy.set(ProxyFaults())
    #expect(try line.harness.outcome(of: .probe, id: 2) == .reachable)
  }

  @Test("a network that goes silent in the middle is a stall, and sent again afterwards")
  func stall() throws {
    let line = try Line(uploadTimeout: .milliseconds(400))
    let chunk = Harness.chunk()
    var faults = ProxyFaults()
    faults.isStalled = true
    line.proxy.set(faults)
    #expect(
      try line.harness.outcome(of: .chunk(chunk), id: 1) == .unreachable("no byte moved for 400 ms"))

    line.proxy.set(ProxyFaults())
    #expect(try line.harness.outcome(of: .chunk(chunk), id: 2) == Harness.stored(chunk))
  }

  @Test("a slow network is waited for")
  func slow() throws {
    var faults = ProxyFaults()
    faults.bytesPerSecondMax = 600_000
    faults.delayMilliseconds = 5
    let line = try Line(faults, uploadTimeout: .seconds(2))
    let chunk = Harness.chunk()
    #expect(try line.harness.outcome(of: .chunk(chunk)) == Harness.stored(chunk))
  }

  @Test("answers damaged on the way never count as stored", arguments: [ProxyFaults.Answers.garbage, .twice])
  func damagedAnswers(answers: ProxyFaults.Answers) throws {
    var faults = ProxyFaults()
    faults.answers = answers
    let line = try Line(faults)
    let chunk = Harness.chunk()
    let outcome = try line.harness.outcome(of: .chunk(chunk))
    switch answers {
    case .garbage: #expect(outcome != Harness.stored(chunk))
    case .twice, .asTheyAre: #expect(outcome == Harness.stored(chunk))
    }
  }
}

/// Client, proxy and server.
private struct Line {
  let server: FaultyServer
  let proxy: FaultyProxy
  let harness: Harness

  init(_ faults: ProxyFaults = ProxyFaults(), uploadTimeout: Span = .seconds(20)) throws {
    server = try FaultyServer(keepsBodies: true, behave: receiver)
    proxy = try FaultyProxy(upstreamPort: server.port, faults: faults)
    harness = try Harness(proxy.url, uploadTimeout: uploadTimeout)
  }
}

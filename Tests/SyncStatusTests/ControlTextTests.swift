import SyncStatus
import Testing
import UploadProtocol

@Suite("control lines")
struct ControlTextTests {
  private static let session = SessionID(number: 255)

  @Test(
    "every command is understood",
    arguments: [
      ("process-uploads", ControlRequest.processUploads(.all, force: false)),
      ("process-uploads force", .processUploads(.all, force: true)),
      ("process-uploads force a/b c.wav", .processUploads(.path(Array("a/b c.wav".utf8)), force: true)),
      ("process-uploads ./force", .processUploads(.path(Array("force".utf8)), force: false)),
      ("retry", .processUploads(.all, force: false)),
      ("retry --force sess_00000000000000ff", .processUploads(.session(session), force: true)),
      ("pause", .pause(.all)), ("pause /a//b/", .pause(.path(Array("a/b".utf8)))),
      ("resume sess_00000000000000ff", .resume(.session(session))),
      ("resume sess_not-one", .resume(.path(Array("sess_not-one".utf8)))),
      ("hold a", .hold(.path([97]))), ("release a", .release(.path([97]))), ("hold /", .hold(.all)),
      ("priority high a b ", .prioritize(.high, .path(Array("a b ".utf8)))),
      ("limit 2M", .limit(bytesPerSecond: 2 << 20)), ("limit off", .limit(bytesPerSecond: nil)),
      ("flush", .flush(.all)), ("\t restart\r", .restart)
    ])
  func commands(line: String, request: ControlRequest) throws {
    #expect(try ControlText.parse(Array(line.utf8)) == [request])
  }

  @Test(
    "a request written as a line is read back the same",
    arguments: [
      ControlRequest.processUploads(.path(Array("force".utf8)), force: true), .pause(.path(Array(" x".utf8))),
      .resume(.path(Array("sess_00000000000000ff".utf8))), .hold(.path([0xFF, 0xFE])), .release(.session(session)),
      .prioritize(.low, .path(Array("a b".utf8))), .limit(bytesPerSecond: 4_096), .limit(bytesPerSecond: nil),
      .flush(.all), .restart
    ])
  func roundTrip(request: ControlRequest) throws {
    let line = try #require(ControlText.line(request))
    #expect(try ControlText.parseLine(line) == request)
  }

  @Test("comments and blank lines mean nothing, and several lines come in order")
  func batch() throws {
    let requests = try ControlText.parse(Array("# hush\n\n  \npause\n#x\nlimit 1M\n".utf8))
    #expect(requests == [.pause(.all), .limit(bytesPerSecond: 1 << 20)])
    #expect(try ControlText.parse([]) == [])
  }

  @Test("when one line is wrong, none counts, and the error names the line")
  func badBatch() {
    let error = #expect(throws: TextError.self) { try ControlText.parse(Array("pause\nfly\nresume\n".utf8)) }
    #expect(error?.message.hasPrefix("line 2: unknown command \"fly\"") == true)
  }

  @Test(
    "nonsense is refused in a sentence",
    arguments: [
      "fly", "hold", "release", "priority", "priority top a", "priority high", "limit", "limit fast", "limit 2M now",
      "restart now", "pause ../x", "pause a/../../x", "PAUSE", "pause a\0b", "\u{1B}[2J"
    ])
  func nonsense(line: String) {
    let error = #expect(throws: TextError.self) { try ControlText.parse(Array(line.utf8)) }
    #expect(error?.message.contains("\u{1B}") == false)
  }

  @Test("lines and batches are bounded")
  func bounds() {
    let long = Array("pause ".utf8) + [UInt8](repeating: 97, count: ControlText.lineBytesMax)
    #expect(throws: TextError.self) { try ControlText.parse(long) }
    #expect(ControlText.line(.pause(.path(long))) == nil)
    #expect(ControlText.line(.pause(.path([97, 10]))) == nil)
    let many = [UInt8](repeating: 10, count: ControlText.linesMax + 1)
    #expect(throws: TextError.self) { try ControlText.parse(many) }
  }
}

import Foundation
import HTTPTypes
import Hummingbird
import MountPage
import NIOCore
import SyncStatus
import Testing
import UploadProtocol

@Suite("The page of a mount answers")
final class MountPageTests {
  let folder: String
  let responder: MountPageResponder
  static let session = "sess_00000000000000aa"

  /// A folder that looks like a mount to whoever reads it.
  init() throws {
    folder = NSTemporaryDirectory() + "/reelfs-page-\(UUID().uuidString)"
    responder = MountPageResponder(mountpoint: folder, token: "secret", listenHost: "127.0.0.1")
    try FileManager.default.createDirectory(atPath: folder + "/.status", withIntermediateDirectories: true)
    var total = RecordingStatus(state: .uploading, path: [], destination: "http://127.0.0.1:1")
    total.recordings = 1
    let overall = OverallStatus(time: 0, total: total, counts: StateCounts(), connection: .online)
    var recording = RecordingStatus(state: .uploading, path: Array("take.mkv".utf8), destination: "http://127.0.0.1:1")
    recording.session = .init(text: Self.session)
    try Data(SessionsPage.bytes(overall, [recording])).write(to: file("sessions.json"))
    try Data("reelfs_paused 0\n".utf8).write(to: file("metrics"))
    try Data().write(to: file("control"))
    try Data("{\"cells\":\"#\"}\n".utf8).write(to: file("\(Self.session).chunks"))
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func file(_ name: String) -> URL { URL(fileURLWithPath: folder + "/.status/" + name) }

  private func ask(
    _ method: HTTPRequest.Method, _ path: String, host: String = "127.0.0.1:8091", _ fields: HTTPFields = [:],
    body: String = ""
  ) async -> Response {
    let head = HTTPRequest(method: method, scheme: "http", authority: host, path: path, headerFields: fields)
    return await responder.respond(
      to: Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body))))
  }

  private static let token: HTTPFields = [.authorization: "Bearer secret"]

  @Test("every answer, refusals too, forbids the browser what no page of ours needs", arguments: ["/", "/mount.js", "/nowhere", "/metrics"])
  func headers(path: String) async throws {
    let headers = await ask(.get, path).headers
    let policy = try #require(headers[.contentSecurityPolicy])
    #expect(policy.hasPrefix("default-src 'none'; script-src 'self'; style-src 'self';"))
    #expect(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"))
    #expect(headers[.xContentTypeOptions] == "nosniff")
    #expect(headers[.crossOriginResourcePolicy] == "same-origin")
    #expect(headers[HTTPField.Name("Referrer-Policy")!] == "no-referrer")
  }

  @Test("the page and its files are there, and are not sent again when the browser has them")
  func files() async throws {
    for path in ["/", "/mount.js", "/common.js", "/chart.js", "/page.css", "/icon.svg"] {
      let answer = await ask(.get, path)
      #expect(answer.status == .ok && (answer.body.contentLength ?? 0) > 100, "\(path)")
      let again = await ask(.get, path, [.ifNoneMatch: try #require(answer.headers[.eTag])])
      #expect(again.status == .notModified)
    }
  }

  @Test("another name than this machine's is refused, also for the page itself", arguments: ["/", "/metrics", "/api/events"])
  func rebinding(path: String) async {
    #expect(await ask(.get, path, host: "evil.example:8091").status == .forbidden)
  }

  @Test("another site may not steer, even with the token")
  func foreignOrigin() async throws {
    var fields = Self.token
    fields[.origin] = "http://evil.example"
    #expect(await ask(.post, "/api/control", fields, body: "pause\n").status == .forbidden)
    #expect(try Data(contentsOf: file("control")).isEmpty)
  }

  @Test("steering needs the token, and writes the lines to the mount as they are")
  func control() async throws {
    for fields: HTTPFields in [[:], [.authorization: "Bearer wrong"], [.authorization: "secret"]] {
      #expect(await ask(.post, "/api/control", fields, body: "pause\n").status == .unauthorized)
    }
    #expect(try Data(contentsOf: file("control")).isEmpty)

    #expect(await ask(.post, "/api/control", Self.token, body: "pause \(Self.session)\n").status == .noContent)
    #expect(try String(contentsOf: file("control"), encoding: .utf8) == "pause \(Self.session)\n")
    #expect(await ask(.get, "/api/token").status == .unauthorized)
    #expect(await ask(.get, "/api/token", Self.token).status == .noContent)
  }

  @Test("a wrong command is refused with what is wrong, before the mount sees it")
  func wrongCommand() async throws {
    for body in ["fly\n", "limit x\n", "", "# nothing\n", "pause ../x\n"] {
      #expect(await ask(.post, "/api/control", Self.token, body: body).status == .badRequest, "\(body)")
    }
    let long = String(repeating: "pause\n", count: 20_000)
    #expect(await ask(.post, "/api/control", Self.token, body: long).status == .contentTooLarge)
    #expect(try Data(contentsOf: file("control")).isEmpty)
  }

  @Test("metrics and chunk maps come from the mount; what it does not have is 404, a wrong method 405")
  func readings() async throws {
    #expect(await ask(.get, "/metrics").status == .ok)
    #expect(await ask(.get, "/api/chunks/\(Self.session)").status == .ok)
    #expect(await ask(.get, "/api/chunks/sess_00000000000000ab").status == .notFound)
    #expect(await ask(.get, "/api/chunks/../sessions.json").status == .notFound)
    #expect(await ask(.get, "/nowhere").status == .notFound)
    let wrong = await ask(.delete, "/api/control", Self.token)
    #expect(wrong.status == .methodNotAllowed && wrong.headers[.allow] == "POST")
  }

  @Test("a mount that is gone is said, not hidden")
  func gone() async throws {
    try FileManager.default.removeItem(at: file("metrics"))
    #expect(await ask(.get, "/metrics").status == .serviceUnavailable)
  }

  @Test("live: the whole at once, then what changes; seventeen pages are one too many")
  func live() async throws {
    let answer = await ask(.get, "/api/events")
    #expect(answer.headers[.contentType] == "text/event-stream")
    let stream = Stream()
    let first = Task { try await answer.body.write(stream) }
    try await stream.wait(for: "event: snapshot")
    #expect(stream.text.hasPrefix(": reelfs\n"))
    #expect(stream.text.contains("\"mountpoint\":") && stream.text.contains("\"\(Self.session)\":{"))

    var others: [Task<Void, any Error>] = []
    for _ in 1..<16 {
      let other = await ask(.get, "/api/events")
      let stream = Stream()
      others.append(Task { try await other.body.write(stream) })
      try await stream.wait(for: "event: snapshot")
    }
    #expect(await ask(.get, "/api/events").status == .serviceUnavailable)

    try FileManager.default.removeItem(at: file("sessions.json"))
    try await stream.wait(for: "event: trouble\ndata: \"The mount does not answer")
    await responder.stop()
    try await first.value
    for other in others { try await other.value }
  }
}

/// Where an answer's body goes.
final class Stream: ResponseBodyWriter, @unchecked Sendable {
  // Behind the lock.
  private var bytes = ByteBuffer()
  private let lock = NSLock()

  func write(_ buffer: ByteBuffer) async throws { lock.withLock { _ = bytes.writeImmutableBuffer(buffer) } }
  func finish(_ trailingHeaders: HTTPFields?) async throws {}
  var text: String { lock.withLock { String(buffer: bytes) } }

  func wait(for part: String) async throws {
    // A hang, not a stall: tests that block share the few threads that this task needs, minutes long under a sanitizer.
    let end = ContinuousClock.now + .seconds(600)
    while !text.contains(part) {
      guard ContinuousClock.now < end else { throw Missing(part: part, text: text) }
      // Between two looks.
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  struct Missing: Error {
    let part: String
    let text: String
  }
}

import Foundation
import HTTPTypes
import Logging
import Receiver
import Testing

@Suite("The server as a whole")
struct ServerTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("everything but health needs the token; a wrong one is refused there too")
  func token() async throws {
    try await withReceiver(on: folder, token: "secret") { uploader async throws in
      #expect(try await uploader.send(.get, "/healthz").status == 200)
      for value in ["Bearer wrong", "Basic secret", "Bearer", "secret"] {
        #expect(try await uploader.send(.get, "/healthz", ["Authorization": value]).status == 401)
      }
      #expect(try await uploader.put([1], as: 0, in: "sess_a").error == "unauthorized")
      #expect(try await uploader.send(.get, "/nowhere").status == 401)
      let answer = try await uploader.put([1], as: 0, in: "sess_a", headers: ["Authorization": "Bearer secret"])
      #expect(answer.status == 200)
    }
  }

  @Test("unknown addresses and methods are answered in JSON")
  func unknownRoutes() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.send(.get, "/nowhere").error == "not_found")
      let wrong = try await uploader.send(.delete, "/upload/chunk")
      #expect(wrong.status == 405)
      #expect(wrong.error == "method_not_allowed")
      #expect(wrong.headers[.allow] == "POST")
      #expect(try await uploader.send(.put, "/upload/sessions/sess_a", body: Array("{".utf8)).error == "bad_body")
    }
  }

  @Test(
    "without a token only loopback is listened on",
    arguments: ["0.0.0.0", "192.168.1.2", "example.org", "::", "127.0.0.1.evil.org"])
  func loopbackOnly(host: String) throws {
    #expect(throws: ReceiverError.tokenNeeded(host: host)) {
      _ = try Receiver(
        configuration: ReceiverConfiguration(listenHost: host, listenPort: 0, dataDirectory: folder.data),
        logger: Logger(label: "test"))
    }
  }

  @Test("a second receiver on the same data folder is refused")
  func locked() async throws {
    try await withReceiver(on: folder) { _ in
      #expect(throws: ReceiverError.dataFolderInUse(path: folder.data)) {
        _ = try Receiver(
          configuration: ReceiverConfiguration(listenPort: 0, dataDirectory: folder.data), logger: Logger(label: "test")
        )
      }
    }
  }

  @Test("over a real connection: upload, complete, download, refusal of a large body, and on")
  func live() async throws {
    let recording = noise(2 * mebibyte + 3, seed: 1)

    try await withReceiver(on: folder, live: true) { uploader async throws in
      #expect(try await uploader.put(noise(3 * mebibyte, seed: 2), as: 0, in: "sess_a").status == 413)
      try await uploader.upload(recording, as: "sess_a")
      #expect(try await uploader.complete("sess_a", recording).status == 200)
      #expect(try await uploader.send(.get, "/recordings/studio/take.wav").bytes == recording)
    }
  }

  @Test("too many bodies at once are told to come again")
  func busy() async throws {
    var limits = ReceiverConfiguration.Limits()
    limits.bodiesMax = 0

    try await withReceiver(on: folder, limits: limits) { uploader async throws in
      let answer = try await uploader.put([1], as: 0, in: "sess_a")
      #expect(answer.status == 503)
      #expect(answer.error == "busy")
      #expect(answer.headers[.retryAfter] == "1")
    }
  }
}

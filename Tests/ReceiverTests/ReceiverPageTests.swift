import Foundation
import HTTPTypes
import Testing

@Suite("The receiver's page")
struct ReceiverPageTests {
  let folder: TemporaryFolder
  private static let token = ["Authorization": "Bearer secret"]

  init() throws { folder = try TemporaryFolder() }

  @Test("its files need no token, all it shows does")
  func token() async throws {
    try await withReceiver(on: folder, token: "secret") { uploader async throws in
      for path in ["/", "/receiver.js", "/upload.js", "/common.js", "/page.css"] {
        let answer = try await uploader.send(.get, path)
        #expect(answer.status == 200)
        #expect(answer.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'none';") == true)
      }
      for path in ["/api/events", "/api/ticket?of=/recordings/a/b", "/metrics", "/recordings/"] {
        #expect(try await uploader.send(.get, path).status == 401)
      }
    }
  }

  @Test("a ticket opens one recording, for reading, for an hour, and nothing else")
  func tickets() async throws {
    let recording = noise(mebibyte + 7, seed: 3)
    try await withReceiver(on: folder, token: "secret") { uploader async throws in
      for name in ["take one.wav", "other.wav"] {
        let session = "sess_" + name.prefix(4).replacingOccurrences(of: " ", with: "")
        for index in 0..<2 {
          try await uploader.put(chunk(index, of: recording), as: index, in: session, headers: Self.token)
        }
        let body = Array(try JSONSerialization.data(withJSONObject: [
          "size": recording.count, "digests": Data(digests(of: recording)).base64EncodedString(), "path": name,
          "device": "studio",
        ]))
        #expect(try await uploader.send(.post, "/upload/sessions/\(session)/complete", Self.token, body: body).status == 200)
      }
      let given = try await uploader.send(.get, "/api/ticket?of=%2Frecordings%2Fstudio%2Ftake%2520one.wav", Self.token)
      let url = try #require(given.json["url"] as? String)

      let part = try await uploader.send(.get, url, ["Range": "bytes=1048576-"])
      #expect(part.status == 206 && part.bytes == Array(recording[mebibyte...]))
      #expect(part.headers[.crossOriginResourcePolicy] == "same-origin")
      let download = try await uploader.send(.get, url + "&download=1")
      #expect(download.headers[.contentDisposition] == "attachment; filename*=UTF-8''take%20one.wav")

      let query = url.drop { $0 != "?" }
      for wrong in [
        "/recordings/studio/other.wav\(query)", url.replacingOccurrences(of: "until=1", with: "until=2"), url.dropLast() + "x",
        "/recordings/\(query)", "/upload/sessions/sess_take\(query)",
      ] {
        #expect(try await uploader.send(.get, wrong).status == 401, "\(wrong)")
      }
      #expect(try await uploader.send(.delete, url).status == 401)
      // A wrong token is never made good by a ticket.
      #expect(try await uploader.send(.get, url, ["Authorization": "Bearer wrong"]).status == 401)
    }
  }

  @Test("without a token other sites are kept out: their names, and their origins")
  func otherSites() async throws {
    try await withReceiver(on: folder, live: true) { uploader async throws in
      #expect(try await uploader.send(.get, "/recordings/").status == 200)
      #expect(try await uploader.send(.get, "/recordings/", ["Origin": "http://evil.example"]).error == "foreign_origin")
      #expect(try await uploader.put([1], as: 0, in: "sess_a", headers: ["Origin": "http://evil.example"]).status == 403)
      // tus answers pages of other programs on this machine.
      let tus = try await uploader.send(
        .post, "/files/",
        [
          "Tus-Resumable": "1.0.0", "Upload-Length": "1", "Origin": "http://localhost:3000",
          "Content-Type": Uploader.tusType,
        ], body: [1])
      #expect(tus.status == 201)
    }
  }

  @Test("the metrics count what is here")
  func metrics() async throws {
    let recording = noise(10, seed: 1)
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.complete("sess_a", recording)
      try await uploader.announce("sess_b", ["path": "b.wav", "device": "studio"])
      let text = String(decoding: try await uploader.send(.get, "/metrics").bytes, as: UTF8.self)
      #expect(text.contains("reelfs_receiver_recordings{state=\"complete\"} 1\n"))
      #expect(text.contains("reelfs_receiver_recordings{state=\"receiving\"} 1\n"))
      #expect(text.contains("reelfs_receiver_complete_bytes 10\n"))
    }
  }
}

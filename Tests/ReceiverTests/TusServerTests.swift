import Foundation
import GRDB
import HTTPTypes
import Receiver
import Testing

@Suite("tus beyond one upload: names, pages, restarts, expiry")
struct TusServerTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(
    "names are kept where they can be and never lead out of the folder",
    arguments: [
      ("take.wav", "take.wav"), ("day 1/take.wav", "day 1/take.wav"), ("../../etc/passwd", "etc/passwd"),
      ("/root/./x", "root/x"), ("Ü\u{301}.mkv", "Ü\u{301}.mkv"), ("nul\0byte", "nul_byte"),
      (String(repeating: "ü", count: 200) + ".wav", String(repeating: "ü", count: 125) + ".wav"),
    ])
  func names(given: String, kept: String) async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let url = try await uploader.create(1, named: given)
      #expect(try await uploader.patch(url, at: 0, [7]).status == 204)
    }
    #expect(folder.bytes("recordings/tus/" + kept) == [7])
  }

  @Test("names without a usable part are replaced by the id; a second upload of one name gets its own")
  func collisions() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      for name in ["..", "video.mp4", "video.mp4"] {
        let url = try await uploader.create(2, named: name)
        #expect(try await uploader.patch(url, at: 0, [1, 2]).status == 204)
      }
    }
    let names = folder.names("recordings/tus")
    #expect(names.count == 3)
    #expect(names.contains("video.mp4"))
    #expect(names.contains { $0.hasPrefix("video~") && $0.hasSuffix(".mp4") && $0.count == 18 })
    #expect(names.contains { $0.count == 32 })
  }

  @Test("a page of any origin may upload when there is a token, else only one of this machine")
  func origins() async throws {
    let headers = ["Upload-Length": "0", "Authorization": "Bearer secret"]
    try await withReceiver(on: folder, token: "secret") { uploader async throws in
      let asked = try await uploader.send(
        .options, "/files/", ["Origin": "https://a.example", "Access-Control-Request-Method": "PATCH"])
      #expect(asked.status == 204)
      #expect(asked.value("Access-Control-Allow-Origin") == "*")
      #expect(asked.value("Access-Control-Allow-Headers")?.contains("Authorization") == true)
      #expect(asked.value("Access-Control-Allow-Methods")?.contains("PATCH") == true)
      let refused = try await uploader.tus(.head, "/files/x", ["Origin": "https://a.example"])
      #expect(refused.status == 401)
      #expect(refused.value("Access-Control-Allow-Origin") == "*")
      let created = try await uploader.tus(.post, "/files/", headers.merging(["Origin": "https://a.example"]) { $1 })
      #expect(created.status == 201)
      #expect(created.value("Access-Control-Expose-Headers")?.contains("Location") == true)
    }
    try await withReceiver(on: folder) { uploader async throws in
      for origin in ["https://a.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example:80"] {
        let answer = try await uploader.tus(.post, "/files/", ["Upload-Length": "0", "Origin": origin])
        #expect(answer.status == 403)
        #expect(answer.value("Access-Control-Allow-Origin") == nil)
      }
      for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"] {
        let answer = try await uploader.tus(.post, "/files/", ["Upload-Length": "0", "Origin": origin])
        #expect(answer.status == 201)
        #expect(answer.value("Access-Control-Allow-Origin") == origin)
      }
    }
  }

  @Test("after a restart, and after the catalog was lost, an upload goes on where it was", arguments: [false, true])
  func restart(isCatalogLost: Bool) async throws {
    let recording = noise(mebibyte + 500, seed: 1)
    let (deferred, done) = try await withReceiver(on: folder) { uploader async throws in
      let url = try await uploader.create(nil, named: "take.wav")
      #expect(try await uploader.patch(url, at: 0, Array(recording[..<300])).status == 204)
      #expect(try await uploader.patch(url, at: 300, Array(recording[300..<mebibyte + 50])).status == 204)
      let done = try await uploader.create(1, named: "done.wav")
      #expect(try await uploader.patch(done, at: 0, [7]).status == 204)
      return (url, done)
    }
    if isCatalogLost { try FileManager.default.removeItem(atPath: folder.data + "/receiver.sqlite") }

    try await withReceiver(on: folder) { uploader async throws in
      let head = try await uploader.tus(.head, deferred)
      #expect(head.number("Upload-Offset") == mebibyte + 50)
      #expect(head.value("Upload-Metadata") == "filename \(base64("take.wav"))")
      let rest = Array(recording[(mebibyte + 50)...])
      let end = try await uploader.patch(deferred, at: mebibyte + 50, rest, ["Upload-Length": "\(recording.count)"])
      #expect(end.status == 204)
      #expect(try await uploader.offset(done) == 1)
      #expect(try await uploader.tus(.head, done).value("Upload-Metadata") == "filename \(base64("done.wav"))")
    }
    #expect(folder.bytes("recordings/tus/take.wav") == recording)
  }

  @Test("abandoned uploads expire, finished ones never, and an interrupted end is made up for")
  func expiry() async throws {
    let urls = try await withReceiver(on: folder) { uploader async throws in
      let half = try await uploader.create(2, named: "half.wav")
      #expect(try await uploader.patch(half, at: 0, [1]).status == 204)
      let part = try await uploader.create(1, ["Upload-Concat": "partial"])
      #expect(try await uploader.patch(part, at: 0, [1]).status == 204)
      let done = try await uploader.create(1, named: "done.wav")
      #expect(try await uploader.patch(done, at: 0, [7]).status == 204)
      // As after a crash between the last byte and the recording.
      let cut = try await uploader.create(nil, named: "cut.wav")
      #expect(try await uploader.patch(cut, at: 0, [3, 4]).status == 204)
      return [half, part, done, cut]
    }
    let eightDaysAgo = Int64(Date().timeIntervalSince1970 * 1000) - 8 * 86_400_000
    let queue = try DatabaseQueue(path: folder.data + "/receiver.sqlite")
    try await queue.write { db in
      try db.execute(sql: "UPDATE session SET changed = ?", arguments: [eightDaysAgo])
      try db.execute(sql: "UPDATE tus SET length = 2 WHERE length IS NULL")
    }
    try queue.close()

    try await withReceiver(on: folder) { uploader async throws in
      for url in urls[..<2] {
        // 410 until the sweep, which runs at the start, has been there.
        while try await uploader.tus(.head, url).status != 404 { await Task.yield() }
      }
      #expect(try await uploader.offset(urls[2]) == 1)
      while try await uploader.send(.get, "/recordings/tus/cut.wav").headers[.eTag]?.hasPrefix("\"") != true {
        await Task.yield()
      }
    }
    #expect(folder.bytes("recordings/tus/done.wav") == [7])
    #expect(folder.bytes("recordings/tus/cut.wav") == [3, 4])
    #expect(folder.names("").filter { $0.hasPrefix("sess_") }.count == 2)
  }
}

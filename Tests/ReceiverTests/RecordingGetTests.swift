import Foundation
import HTTPTypes
import Receiver
import Testing

@Suite("GET /recordings")
struct RecordingGetTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(
    "ranges of a whole recording",
    arguments: [
      ("bytes=5-9", 5..<10), ("bytes=5-", 5..<3000), ("bytes=-7", 2993..<3000), ("bytes=0-99999", 0..<3000),
      ("bytes=-99999", 0..<3000), ("bytes=0-0", 0..<1),
    ])
  func range(header: String, bytes: Range<Int>) async throws {
    let recording = noise(3000, seed: 1)

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.complete("sess_a", recording)
      let answer = try await uploader.send(.get, "/recordings/studio/take.wav", ["Range": header])
      #expect(answer.status == 206)
      #expect(answer.bytes == Array(recording[bytes]))
      #expect(answer.headers[.contentRange] == "bytes \(bytes.lowerBound)-\(bytes.upperBound - 1)/3000")
    }
  }

  @Test("a range without bytes is 416, a malformed or multiple one gives the whole")
  func oddRanges() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put([1, 2, 3], as: 0, in: "sess_a")
      try await uploader.complete("sess_a", [1, 2, 3])
      for header in ["bytes=3-", "bytes=-0", "bytes=99999999999999999999-"] {
        let answer = try await uploader.send(.get, "/recordings/studio/take.wav", ["Range": header])
        #expect(answer.status == 416, "\(header)")
        #expect(answer.headers[.contentRange] == "bytes */3")
      }
      for header in ["bytes=2-1", "bytes=0-0,2-2", "lines=1-2", "bytes=", "bytes=-", "bytes=a-b"] {
        let answer = try await uploader.send(.get, "/recordings/studio/take.wav", ["Range": header])
        #expect(answer.status == 200, "\(header)")
        #expect(answer.bytes == [1, 2, 3])
      }
    }
  }

  @Test("a running recording is readable up to its last contiguous byte")
  func running() async throws {
    let recording = noise(3 * mebibyte, seed: 1)

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.announce("sess_a", ["device": "studio", "path": "live.ts"])
      try await uploader.put(chunk(0, of: recording), as: 0, in: "sess_a")
      try await uploader.put(chunk(2, of: recording), as: 2, in: "sess_a")
      let answer = try await uploader.send(.get, "/recordings/studio/live.ts")
      #expect(answer.status == 200)
      #expect(answer.bytes == chunk(0, of: recording))
      #expect(answer.headers[.contentType] == "video/mp2t")
      #expect(answer.headers[.xContentTypeOptions] == "nosniff")
    }
  }

  @Test("an unchanged recording is answered 304, HEAD without a body")
  func conditional() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put([1, 2, 3], as: 0, in: "sess_a")
      try await uploader.complete("sess_a", [1, 2, 3])
      let tag = try #require(try await uploader.send(.get, "/recordings/studio/take.wav").headers[.eTag])
      #expect(try await uploader.send(.get, "/recordings/studio/take.wav", ["If-None-Match": tag]).status == 304)
      let stale = try await uploader.send(
        .get, "/recordings/studio/take.wav", ["If-Range": "\"other\"", "Range": "bytes=0-0"])
      #expect(stale.status == 200)
      let head = try await uploader.send(.head, "/recordings/studio/take.wav")
      #expect(head.status == 200)
      #expect(head.headers[.contentLength] == "3")
      #expect(head.bytes.isEmpty)
    }
  }

  @Test("the listing is paged and names running and whole recordings")
  func listing() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      for (index, name) in ["sess_a", "sess_b", "sess_c"].enumerated() {
        try await uploader.announce(name, ["device": "d", "path": "\(index).wav"])
        try await uploader.put([1], as: 0, in: name)
      }
      try await uploader.complete("sess_b", [1], path: nil)
      let page = try await uploader.send(.get, "/recordings/?limit=2").json
      let entries = try #require(page["recordings"] as? [[String: Any]])
      #expect(entries.compactMap { $0["path"] as? String } == ["0.wav", "1.wav"])
      #expect(entries.compactMap { $0["state"] as? String } == ["receiving", "complete"])
      let after = try #require(page["next"] as? Int)
      let rest = try await uploader.send(.get, "/recordings/?after=\(after)").json
      #expect((rest["recordings"] as? [Any])?.count == 1)
    }
  }

  @Test(
    "nothing outside the recordings can be read",
    arguments: [
      "/recordings/../receiver.sqlite", "/recordings/d/../../receiver.sqlite", "/recordings/d/%2e%2e/%2e%2e/etc/passwd",
      "/recordings/%2e%2e/receiver.sqlite", "/recordings/d/..%2f..%2fx", "/recordings/d/a%00b", "/recordings/d/%zz",
      "/recordings/d//x", "/recordings/d",
    ])
  func outside(address: String) async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let answer = try await uploader.send(.get, address)
      #expect([400, 404].contains(answer.status))
      #expect(["bad_path", "not_found"].contains(answer.error))
    }
  }

  @Test("symbolic links in the data folder are not followed")
  func symbolicLinks() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put([1], as: 0, in: "sess_a")
      try FileManager.default.createSymbolicLink(
        atPath: folder.data + "/recordings/studio", withDestinationPath: folder.path)
      #expect(try await uploader.complete("sess_a", [1]).status == 200)
    }

    #expect(!FileManager.default.fileExists(atPath: folder.path + "/take.wav"))
  }
}

import Foundation
import HTTPTypes
import Receiver
import Testing

@Suite("PUT and GET /upload/sessions/{id}")
struct SessionTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("an announced session is reported with device, path and chunks")
  func report() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let announced = try await uploader.announce("sess_a", ["device": "studio", "path": "a/b.wav"])
      #expect(announced.status == 200)
      try await uploader.put([1, 2], as: 0, in: "sess_a", version: 4)
      let json = try await uploader.send(.get, "/upload/sessions/sess_a").json
      #expect(json["device"] as? String == "studio")
      #expect(json["path"] as? String == "a/b.wav")
      #expect(json["state"] as? String == "receiving")
      #expect(json["next"] is NSNull)
      let first = (json["chunks"] as? [[String: Any]])?.first
      #expect(first?["version"] as? Int == 4)
      #expect(first?["bytes"] as? Int == 2)
    }
  }

  @Test("a long report is paged")
  func paging() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      for index in 0..<5 { try await uploader.put([1], as: index * 3, in: "sess_a") }
      let page = try await uploader.send(.get, "/upload/sessions/sess_a?from=3&limit=2").json
      #expect((page["chunks"] as? [[String: Any]])?.compactMap { $0["index"] as? Int } == [3, 6])
      #expect(page["next"] as? Int == 9)
      #expect(try await uploader.send(.get, "/upload/sessions/sess_a?limit=0").error == "bad_body")
    }
  }

  @Test("a report at depth bytes tells what is read from the disk, of parts, of the growing and of the whole recording")
  func deepReport() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let whole = [UInt8](repeating: 1, count: 1 << 20)
      try await uploader.put(whole, as: 0, in: "sess_a")
      try await uploader.put([3], as: 2, in: "sess_a")
      func stored(_ json: [String: Any]) -> [[String: Any]] {
        (json["chunks"] as? [[String: Any]] ?? []).compactMap { $0["stored"] as? [String: Any] }
      }
      let plain = try await uploader.send(.get, "/upload/sessions/sess_a").json
      #expect(stored(plain).isEmpty)
      var deep = try await uploader.send(.get, "/upload/sessions/sess_a?depth=bytes").json
      let catalog = (deep["chunks"] as? [[String: Any]] ?? []).compactMap { $0["sha256"] as? String }
      #expect(catalog.count == 2)
      #expect(stored(deep).compactMap { $0["sha256"] as? String } == catalog)

      let part = folder.data + "/sess_a/temp/shard_0000/2.part"
      try Data([4]).write(to: URL(fileURLWithPath: part))
      deep = try await uploader.send(.get, "/upload/sessions/sess_a?depth=bytes").json
      #expect(stored(deep).last?["bytes"] as? Int == 1)
      #expect(stored(deep).last?["sha256"] as? String != catalog.last)
      try FileManager.default.removeItem(atPath: part)
      deep = try await uploader.send(.get, "/upload/sessions/sess_a?depth=bytes").json
      #expect(stored(deep).first?["sha256"] as? String == catalog.first)
      #expect(stored(deep).last?["sha256"] == nil)
      #expect(try await uploader.send(.get, "/upload/sessions/sess_a?depth=x").error == "bad_body")
    }
  }

  @Test("a complete recording's report has its chain, and at depth bytes that of the manifest on the disk")
  func chains() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put([9], as: 0, in: "sess_a")
      let chain = try await uploader.complete("sess_a", [9], path: "a.wav").json["chain"] as? String
      let deep = try await uploader.send(.get, "/upload/sessions/sess_a?depth=bytes").json
      #expect(chain != nil)
      #expect(deep["chain"] as? String == chain)
      #expect((deep["stored"] as? [String: Any])?["chain"] as? String == chain)
      #expect((deep["stored"] as? [String: Any])?["size"] as? Int == 1)
    }
  }

  @Test("a path that is no UTF-8 travels in base64, both ways")
  func bytesPath() async throws {
    let path = Data([0x61, 0xff, 0x62])

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put([9], as: 0, in: "sess_a")
      let announced = try await uploader.announce("sess_a", ["device": "d", "path_base64": path.base64EncodedString()])
      #expect(announced.json["path_base64"] as? String == path.base64EncodedString())
      #expect(announced.json["path"] is NSNull)
      #expect(
        try await uploader.complete("sess_a", [9], path: nil).json["recording"] as? String == "/recordings/d/a%FFb")
      #expect(try await uploader.send(.get, "/recordings/d/a%FFb").bytes == [9])
    }
  }

  @Test(
    "a device or path that could leave the data folder is refused",
    arguments: [
      ("d", "../x"), ("d", "a/../b"), ("d", "/a"), ("d", "a//b"), ("d", ""), ("d", "a/."), ("..", "a"), ("", "a"),
      ("a/b", "c"), ("d", "a\u{0}b"), ("d", String(repeating: "x", count: 256)),
      ("d", String(repeating: "xx/", count: 1400) + "x"),
    ])
  func badPath(device: String, path: String) async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.announce("sess_a", ["device": device, "path": path]).error == "bad_path")
      #expect(try await uploader.complete("sess_a", [], path: path, device: device).error == "bad_path")
    }
  }

  @Test("announcing another path renames the whole recording, its link and its manifest")
  func rename() async throws {
    let recording = noise(5000, seed: 1)

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.complete("sess_a", recording, path: "old/take.wav")
      #expect(try await uploader.announce("sess_a", ["device": "studio", "path": "new/name.wav"]).status == 200)
      #expect(try await uploader.send(.get, "/recordings/studio/old/take.wav").status == 404)
      #expect(try await uploader.send(.get, "/recordings/studio/new/name.wav").bytes == recording)
    }

    #expect(folder.names("sess_a") == [".reelfs-manifest.json", "name.wav"])
    #expect(folder.bytes("recordings/studio/new/name.wav") == recording)
    #expect(!folder.exists("recordings/studio/old"))
    let manifest = String(decoding: folder.bytes("sess_a/.reelfs-manifest.json") ?? [], as: UTF8.self)
    #expect(manifest.contains(#""path":"new/name.wav""#))
  }

  @Test("unknown and malformed sessions are told apart")
  func unknown() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.send(.get, "/upload/sessions/sess_none").error == "unknown_session")
      #expect(try await uploader.send(.get, "/upload/sessions/none").error == "bad_session")
      #expect(try await uploader.send(.get, "/upload/sessions/..%2f").error == "bad_session")
      #expect(try await uploader.send(.get, "/upload/sessions/sess_a/other").error == "not_found")
    }
  }

  @Test("metadata must be an object within its limit")
  func metadata() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.announce("sess_a", ["metadata": [1]]).error == "bad_body")
      let large = String(repeating: "x", count: 70_000)
      #expect(try await uploader.announce("sess_a", ["metadata": ["k": large]]).error == "too_large")
      let larger = String(repeating: "x", count: 200_000)
      #expect(try await uploader.announce("sess_a", ["metadata": ["k": larger]]).error == "too_large")
    }
  }
}

import Foundation
import HTTPTypes
import Receiver
import Testing

@Suite("POST /upload/sessions/{id}/complete")
struct CompletePostTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("a complete recording is whole in its session's folder and below recordings, once on disk")
  func whole() async throws {
    let recording = noise(2 * mebibyte + 77, seed: 1)

    let answer = try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      return try await uploader.complete("sess_a", recording, path: "day 1/é.wav").json
    }

    #expect(answer["size"] as? Int == recording.count)
    #expect(answer["recording"] as? String == "/recordings/studio/day%201/%C3%A9.wav")
    #expect(folder.bytes("sess_a/é.wav") == recording)
    #expect(try folder.inode("sess_a/é.wav") == folder.inode("recordings/studio/day 1/é.wav"))
    #expect(folder.names("sess_a") == [".reelfs-manifest.json", "é.wav"])
  }

  @Test("the manifest names size, digests, chain, device, path and metadata")
  func manifest() async throws {
    let recording = noise(mebibyte + 1, seed: 1)

    let chain = try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.announce("sess_a", ["metadata": ["someKey": "value", "snake_key": 3]])
      return try await uploader.complete("sess_a", recording).json["chain"] as? String
    }

    let bytes = try #require(folder.bytes("sess_a/.reelfs-manifest.json"))
    let manifest = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    #expect(manifest["session_id"] as? String == "sess_a")
    #expect(manifest["size"] as? Int == recording.count)
    #expect(manifest["digests"] as? String == Data(digests(of: recording)).base64EncodedString())
    #expect(manifest["chain"] as? String == chain)
    #expect(manifest["device"] as? String == "studio")
    #expect(manifest["path"] as? String == "take.wav")
    #expect(manifest["schema_version"] as? Int == 1)
    #expect(manifest["completed_at"] is String)
    let metadata = try #require(manifest["metadata"] as? [String: Any])
    #expect(Set(metadata.keys) == ["someKey", "snake_key"])
  }

  @Test("missing and differing chunks are named")
  func incomplete() async throws {
    let recording = noise(4 * mebibyte, seed: 1)

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put(chunk(0, of: recording), as: 0, in: "sess_a")
      try await uploader.put(noise(mebibyte, seed: 99), as: 2, in: "sess_a")
      let answer = try await uploader.complete("sess_a", recording)
      #expect(answer.status == 409)
      #expect(answer.error == "incomplete")
      #expect(answer.json["missing"] as? [Int] == [1, 2, 3])
    }

    #expect(!folder.exists("sess_a/take.wav"))
  }

  @Test("completing a session that nobody knows names all its chunks as missing")
  func unknown() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.complete("sess_a", noise(mebibyte + 1, seed: 1)).json["missing"] as? [Int] == [0, 1])
    }
  }

  @Test("completing again changes nothing and is not an error")
  func twice() async throws {
    let recording = noise(3000, seed: 1)

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      let first = try await uploader.complete("sess_a", recording)
      let inode = try folder.inode("sess_a/take.wav")
      let second = try await uploader.complete("sess_a", recording)
      #expect(first.bytes == second.bytes)
      #expect(try folder.inode("sess_a/take.wav") == inode)
    }
  }

  @Test("an empty recording is completed without any chunk")
  func empty() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.complete("sess_a", []).status == 200)
    }

    #expect(folder.bytes("recordings/studio/take.wav") == [])
  }

  @Test("a changed recording uploads only its changed chunks and replaces the old one at completion")
  func reopened() async throws {
    let old = noise(3 * mebibyte + 10, seed: 1)
    var changed = old
    changed.replaceSubrange(4..<12, with: Array("PATCHED!".utf8))
    let new = changed + noise(mebibyte, seed: 2)

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(old, as: "sess_a")
      try await uploader.complete("sess_a", old)
      try await uploader.put(chunk(0, of: new), as: 0, in: "sess_a", version: 2)
      #expect(folder.bytes("recordings/studio/take.wav") == old)
      #expect(try await uploader.send(.get, "/recordings/studio/take.wav").bytes == old)
      #expect(try await uploader.complete("sess_a", new).json["missing"] as? [Int] == [3, 4])
      try await uploader.put(chunk(3, of: new), as: 3, in: "sess_a", version: 2)
      try await uploader.put(chunk(4, of: new), as: 4, in: "sess_a")
      #expect(try await uploader.complete("sess_a", new).status == 200)
    }

    #expect(folder.bytes("recordings/studio/take.wav") == new)
    #expect(folder.bytes("sess_a/take.wav") == new)
    #expect(folder.names("sess_a") == [".reelfs-manifest.json", "take.wav"])
  }

  @Test("a recording that was cut short is completed at its new size")
  func truncated() async throws {
    let recording = noise(3 * mebibyte, seed: 1)
    let short = Array(recording.prefix(2 * mebibyte))

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.complete("sess_a", recording)
      #expect(try await uploader.complete("sess_a", short).status == 200)
      let chunks = try await uploader.send(.get, "/upload/sessions/sess_a").json["chunks"] as? [Any]
      #expect(chunks?.count == 2)
    }

    #expect(folder.bytes("sess_a/take.wav") == short)
  }

  @Test("names that the receiver needs for itself get an underscore", arguments: ["temp", ".reelfs-manifest.json"])
  func collidingName(name: String) async throws {
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put([7], as: 0, in: "sess_a")
      #expect(try await uploader.complete("sess_a", [7], path: name).status == 200)
      #expect(try await uploader.send(.get, "/recordings/studio/\(name)").bytes == [7])
    }

    #expect(folder.bytes("sess_a/\(name)_") == [7])
  }

  @Test("a later recording at the same path takes the path; the earlier stays in its session's folder")
  func samePath() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      for (session, byte) in [("sess_a", UInt8(1)), ("sess_b", 2)] {
        try await uploader.put([byte], as: 0, in: session)
        #expect(try await uploader.complete(session, [byte]).status == 200)
      }
      #expect(try await uploader.send(.get, "/recordings/studio/take.wav").bytes == [2])
      // Renaming the earlier one does not take the link of the later one along.
      try await uploader.announce("sess_a", ["device": "studio", "path": "old.wav"])
    }

    #expect(folder.bytes("recordings/studio/take.wav") == [2])
    #expect(folder.bytes("recordings/studio/old.wav") == [1])
  }

  @Test("a path that needs a folder where a file is does not keep a recording from being completed")
  func pathConflict() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      for (session, path, byte) in [("sess_a", "x", UInt8(1)), ("sess_b", "x/y.wav", 2)] {
        try await uploader.put([byte], as: 0, in: session)
        #expect(try await uploader.complete(session, [byte], path: path).status == 200)
        #expect(try await uploader.send(.get, "/recordings/studio/\(path)").bytes == [byte])
      }
    }

    #expect(folder.bytes("recordings/studio/x") == [1])
    #expect(folder.bytes("recordings/studio/sess_b~y.wav") == [2])
  }

  @Test("digests and size must fit together")
  func badBody() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      for body in [
        #"{"size":5,"digests":""}"#, #"{"size":-1,"digests":""}"#, #"{"size":0,"digests":"!"}"#, #"{"digests":""}"#,
        "", "[]", "{", #"{"size":0,"digests":"","path":"x"}"#, #"{"size":99999999999999999,"digests":""}"#,
      ] {
        let answer = try await uploader.send(.post, "/upload/sessions/sess_a/complete", body: Array(body.utf8))
        #expect(answer.status == 400, "\(body)")
        #expect(["bad_body", "bad_path"].contains(answer.error), "\(body)")
      }
    }
  }
}

import Crypto
import Foundation
import HTTPTypes
import Receiver
import Testing

@Suite("POST /upload/chunk")
struct ChunkPostTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("a stored chunk is answered with a receipt that names its bytes")
  func receipt() async throws {
    let bytes = noise(1000, seed: 1)

    let answer = try await withReceiver(on: folder) { try await $0.put(bytes, as: 3, in: "sess_a", version: 7).json }

    #expect(answer["session_id"] as? String == "sess_a")
    #expect(answer["chunk_index"] as? Int == 3)
    #expect(answer["chunk_version"] as? Int == 7)
    #expect(answer["bytes"] as? Int == 1000)
    #expect(answer["sha256"] as? String == SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined())
  }

  @Test("chunks that are not next in line lie in parts, a thousand a shard")
  func shards() async throws {
    let (first, second) = (noise(mebibyte, seed: 1), noise(4, seed: 2))

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put(first, as: 5, in: "sess_layout")
      try await uploader.put(second, as: 1005, in: "sess_layout")
    }

    #expect(folder.bytes("sess_layout/temp/shard_0000/5.part") == first)
    #expect(folder.bytes("sess_layout/temp/shard_0001/1005.part") == second)
  }

  @Test("chunks are folded into the growing recording as soon as they are next in line")
  func folding() async throws {
    let recording = noise(4 * mebibyte + 99, seed: 3)

    try await withReceiver(on: folder) { uploader async throws in
      for index in [2, 4, 1, 3, 0] { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a") }
      #expect(try await uploader.send(.get, "/upload/sessions/sess_a").json["size"] as? Int == recording.count)
    }

    #expect(folder.bytes("sess_a/temp/recording") == recording)
    #expect(folder.names("sess_a/temp/shard_0000").isEmpty)
  }

  @Test("many chunks at once, in any order, end as one recording")
  func concurrent() async throws {
    let recording = noise(24 * mebibyte + 5, seed: 4)

    try await withReceiver(on: folder) { uploader async throws in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for index in (0..<25).shuffled() {
          group.addTask { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a").status }
        }
        for try await status in group { #expect(status == 200) }
      }
      #expect(try await uploader.complete("sess_a", recording).status == 200)
    }

    #expect(folder.bytes("sess_a/take.wav") == recording)
  }

  @Test("the same chunk again is not an error")
  func twice() async throws {
    let bytes = noise(5000, seed: 1)

    try await withReceiver(on: folder) { uploader async throws in
      for index in [0, 0, 9, 9] { #expect(try await uploader.put(bytes, as: index, in: "sess_a").status == 200) }
    }
  }

  @Test("a newer version replaces the bytes, in a part and in the growing recording", arguments: [0, 6])
  func newerVersion(index: Int) async throws {
    let (old, new) = (noise(mebibyte, seed: 1), noise(mebibyte, seed: 2))

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put(old, as: index, in: "sess_a", version: 1)
      #expect(try await uploader.put(new, as: index, in: "sess_a", version: 2).status == 200)
    }

    let stored = index == 0 ? "sess_a/temp/recording" : "sess_a/temp/shard_0000/6.part"
    #expect(folder.bytes(stored) == new)
    #expect(folder.names("sess_a/temp/shard_0000") == (index == 0 ? [] : ["6.part"]))
  }

  @Test("an older version, or the same with other bytes, is refused with the version that is there")
  func superseded() async throws {
    let (old, new) = (noise(100, seed: 1), noise(100, seed: 2))

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put(new, as: 0, in: "sess_a", version: 3)
      for version in [2, 3] {
        let answer = try await uploader.put(old, as: 0, in: "sess_a", version: version)
        #expect(answer.status == 409)
        #expect(answer.error == "superseded")
        #expect(answer.json["chunk_version"] as? Int == 3)
      }
    }

    #expect(folder.bytes("sess_a/temp/recording") == new)
  }

  @Test("a partial last chunk may grow with a newer version")
  func growingTail() async throws {
    let recording = noise(mebibyte + 500, seed: 1)

    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put(Array(recording[..<4000]), as: 0, in: "sess_a")
      try await uploader.put(Array(recording[mebibyte...]), as: 1, in: "sess_a")
      // Chunk 1 has its place already, but the bytes before it have a gap.
      #expect(try await uploader.send(.get, "/upload/sessions/sess_a").json["size"] as? Int == 4000)
      try await uploader.put(Array(recording[..<mebibyte]), as: 0, in: "sess_a", version: 2)
      #expect(try await uploader.complete("sess_a", recording).status == 200)
    }

    #expect(folder.bytes("sess_a/take.wav") == recording)
  }

  @Test("bytes that are not those of Content-Digest are refused and not kept")
  func digestMismatch() async throws {
    let digest = Data(SHA256.hash(data: noise(10, seed: 9))).base64EncodedString()

    try await withReceiver(on: folder) { uploader async throws in
      let answer = try await uploader.put(
        noise(10, seed: 1), as: 0, in: "sess_a", headers: ["Content-Digest": "sha-256=:\(digest):"])
      #expect(answer.status == 400)
      #expect(answer.error == "digest_mismatch")
      #expect(try await uploader.send(.get, "/upload/sessions/sess_a").error == "unknown_session")
    }
  }

  @Test("the sha-256 entry is found among other digests, and unknown ones alone are ignored")
  func digestList() async throws {
    let bytes = noise(10, seed: 1)
    let digest = Data(SHA256.hash(data: bytes)).base64EncodedString()

    try await withReceiver(on: folder) { uploader async throws in
      for value in ["sha-512=:AAAA:, sha-256=:\(digest):", "md5=:AAAA:"] {
        #expect(try await uploader.put(bytes, as: 0, in: "sess_a", headers: ["Content-Digest": value]).status == 200)
      }
    }
  }

  @Test(
    "malformed headers are refused with a code that says which",
    arguments: [
      ("Session-Id", "../evil", "bad_session"), ("Session-Id", "a/b", "bad_session"), ("Session-Id", "", "bad_session"),
      ("Session-Id", "sess_" + String(repeating: "x", count: 500), "bad_session"), ("Session-Id", "..", "bad_session"),
      ("Session-Id", "sess_a.b", "bad_session"), ("Chunk-Index", "-1", "bad_index"), ("Chunk-Index", "+1", "bad_index"),
      ("Chunk-Index", "1000000000000", "bad_index"), ("Chunk-Index", "10000000", "bad_index"),
      ("Chunk-Index", "x", "bad_index"), ("Chunk-Index", "", "bad_index"), ("Chunk-Version", "0", "bad_version"),
      ("Chunk-Version", "4294967296", "bad_version"), ("Chunk-Version", "1.5", "bad_version"),
      ("Content-Digest", "sha-256=:AAAA:", "bad_digest"), ("Content-Digest", "nonsense", "bad_digest"),
      ("Upload-Writer", "", "bad_body"),
    ])
  func malformed(header: String, value: String, code: String) async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let answer = try await uploader.put([1], as: 0, in: "sess_a", headers: [header: value])
      #expect(answer.status == 400)
      #expect(answer.error == code)
      #expect((answer.json["message"] as? String)?.isEmpty == false)
    }
    #expect(!folder.exists("sess_a"))
  }

  @Test("a body above one chunk is refused, an empty one too")
  func bodySize() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.put(noise(mebibyte + 1, seed: 1), as: 0, in: "sess_a").error == "too_large")
      #expect(try await uploader.put([], as: 0, in: "sess_a").error == "bad_body")
      #expect(try await uploader.put(noise(mebibyte, seed: 1), as: 0, in: "sess_a").status == 200)
    }
  }

  @Test("once a session has a writer, nobody else may write to it")
  func otherWriter() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.put([1], as: 0, in: "sess_a", writer: "w1").status == 200)
      #expect(try await uploader.put([2], as: 1, in: "sess_a", writer: "w2").error == "other_writer")
      #expect(try await uploader.put([2], as: 1, in: "sess_a").error == "other_writer")
      #expect(try await uploader.announce("sess_a", ["writer": "w2"]).error == "other_writer")
      #expect(try await uploader.complete("sess_a", [1], writer: "w2").error == "other_writer")
      #expect(try await uploader.put([2], as: 1, in: "sess_a", writer: "w1").status == 200)
    }
  }

  @Test("more sessions than the limit are refused as full, known ones go on")
  func sessionLimit() async throws {
    var limits = ReceiverConfiguration.Limits()
    limits.sessionsMax = 2

    try await withReceiver(on: folder, limits: limits) { uploader async throws in
      for name in ["sess_a", "sess_b"] { #expect(try await uploader.put([1], as: 0, in: name).status == 200) }
      #expect(try await uploader.put([1], as: 0, in: "sess_c").status == 507)
      #expect(try await uploader.put([1], as: 1, in: "sess_a").status == 200)
    }
  }
}

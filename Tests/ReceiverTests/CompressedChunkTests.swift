import Crypto
import Foundation
import HTTPTypes
import Receiver
import Testing
import Zstd

@Suite("POST /upload/chunk with Content-Encoding: zstd")
struct CompressedChunkTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let text = Array(String(repeating: "The take was good. ", count: 40_000).utf8)
  /// A frame of no known length, with a window of 1 MiB, and of blocks that each stand for 128 KiB of one byte.
  private static func frame(ofRuns count: Int, window: UInt8 = 0x50, lastBytes: Int = 128 << 10) -> [UInt8] {
    let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]
    return (0..<count).reduce(into: magic + [0x00, window]) { frame, index in
      let isLast = index == count - 1
      let head = (isLast ? 1 : 0) | 1 << 1 | (isLast ? lastBytes : 128 << 10) << 3
      frame += [UInt8(head & 0xff), UInt8(head >> 8 & 0xff), UInt8(head >> 16 & 0xff), 0x41]
    }
  }

  private static func compressed(_ bytes: [UInt8]) throws -> [UInt8] {
    guard let encoder = ZstdEncoder(), let frame = encoder.encode(bytes, bytesMax: bytes.count + 1_000) else { throw NoMemory() }
    return frame
  }

  private struct NoMemory: Error {}

  private static func digest(_ bytes: [UInt8]) -> String {
    "sha-256=:\(Data(SHA256.hash(data: bytes)).base64EncodedString()):"
  }

  @Test("is stored as it was before it was compressed, and receipt and digest are of those bytes")
  func stored() async throws {
    let frame = try Self.compressed(Self.text)
    #expect(frame.count < Self.text.count / 10)

    let answer = try await withReceiver(on: folder) { uploader async throws in
      let answer = try await uploader.put(
        frame, as: 0, in: "sess_a", headers: ["Content-Encoding": "zstd", "Content-Digest": Self.digest(Self.text)])
      #expect(try await uploader.complete("sess_a", Self.text).status == 200)
      return answer
    }

    #expect(answer.status == 200)
    #expect(answer.json["bytes"] as? Int == Self.text.count)
    #expect(answer.json["sha256"] as? String == SHA256.hash(data: Self.text).map { String(format: "%02x", $0) }.joined())
    #expect(folder.bytes("sess_a/take.wav") == Self.text)
  }

  @Test("a digest of the compressed bytes is a wrong digest")
  func digestOfTheFrame() async throws {
    let frame = try Self.compressed(Self.text)

    let answer = try await withReceiver(on: folder) {
      try await $0.put(
        frame, as: 0, in: "sess_a", headers: ["Content-Encoding": "zstd", "Content-Digest": Self.digest(frame)])
    }

    #expect(answer.status == 400)
    #expect(answer.error == "digest_mismatch")
  }

  @Test("a chunk of exactly 1 MiB fits, also in a frame that names no length or wants a window of 2 GiB")
  func wholeChunks() async throws {
    let full = [UInt8](repeating: 0x41, count: mebibyte)
    let frames = [try Self.compressed(full), Self.frame(ofRuns: 8), Self.frame(ofRuns: 8, window: 0xa8)]

    try await withReceiver(on: folder) { uploader async throws in
      for (index, frame) in frames.enumerated() {
        let answer = try await uploader.put(
          frame, as: index, in: "sess_a", headers: ["Content-Encoding": "zstd", "Content-Digest": Self.digest(full)])
        #expect(answer.status == 200, "frame \(index)")
        #expect(answer.json["bytes"] as? Int == mebibyte)
      }
    }
  }

  @Test("a frame of more than a chunk is 413, whether it says so or not, however small it is")
  func bombs() async throws {
    let zeros = try Self.compressed([UInt8](repeating: 0, count: 200 * mebibyte))
    #expect(zeros.count < 64 << 10)
    let bombs = [
      zeros, try Self.compressed([UInt8](repeating: 0, count: mebibyte + 1)), Self.frame(ofRuns: 9, lastBytes: 1),
      Self.frame(ofRuns: 200_000), Self.frame(ofRuns: 8) + Self.frame(ofRuns: 1, lastBytes: 1),
    ]

    try await withReceiver(on: folder) { uploader async throws in
      for (number, bomb) in bombs.enumerated() {
        let answer = try await uploader.put(bomb, as: 0, in: "sess_a", headers: ["Content-Encoding": "zstd"])
        #expect(answer.status == 413, "bomb \(number)")
      }
    }

    #expect(!folder.exists("sess_a/temp/recording"))
  }

  @Test("what is no zstd, cut off, made with a dictionary, or holds nothing, is 400")
  func unreadable() async throws {
    let frame = try Self.compressed(Self.text)
    let bodies: [[UInt8]] = [
      Self.text, [], [0x28], Array(frame.dropLast()), Array(frame.prefix(9)), frame + [1, 2, 3, 4],
      [0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x50, 0x07, 0x01, 0x00, 0x00], try Self.compressed([]),
    ]

    try await withReceiver(on: folder) { uploader async throws in
      for (number, body) in bodies.enumerated() {
        let answer = try await uploader.put(body, as: 0, in: "sess_a", headers: ["Content-Encoding": "zstd"])
        #expect(answer.status == 400, "body \(number)")
        #expect(["bad_encoding", "bad_body"].contains(answer.error), "body \(number)")
      }
    }
  }

  @Test("damaged frames are refused or give the very bytes that the digest names")
  func damaged() async throws {
    let frame = try Self.compressed(Self.text)

    try await withReceiver(on: folder) { uploader async throws in
      for seed in 0..<400 {
        var damaged = frame
        let place = Int(noise(8, seed: UInt64(seed + 1)).reduce(0) { $0 << 7 ^ UInt64($1) } % UInt64(frame.count))
        damaged[place] ^= UInt8(1 << (seed % 8))
        let answer = try await uploader.put(
          damaged, as: 0, in: "sess_a", headers: ["Content-Encoding": "zstd", "Content-Digest": Self.digest(Self.text)])
        #expect([200, 400, 413].contains(answer.status), "seed \(seed)")
      }
      #expect(try await uploader.put(Self.text, as: 0, in: "sess_a").status == 200)
      #expect(try await uploader.complete("sess_a", Self.text).status == 200)
    }

    #expect(folder.bytes("sess_a/take.wav") == Self.text)
  }

  @Test("any other encoding is 415, and Accept-Encoding says which one is taken", arguments: ["gzip", "br", "zstd, zstd", "zst"])
  func unknown(encoding: String) async throws {
    let answer = try await withReceiver(on: folder) {
      try await $0.put(Self.text, as: 0, in: "sess_a", headers: ["Content-Encoding": encoding])
    }

    #expect(answer.status == 415)
    #expect(answer.error == "content_encoding")
    #expect(answer.headers[.acceptEncoding] == "zstd")
  }

  @Test("Content-Encoding: identity is none; elsewhere than for chunks no other is taken")
  func elsewhere() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await uploader.put(Self.text, as: 0, in: "sess_a", headers: ["Content-Encoding": "Identity"]).status == 200)
      let announcement = Array(#"{"device":"camera","path":"take.wav"}"#.utf8)
      for (encoding, status) in [("identity", 200), ("zstd", 415), ("gzip", 415)] {
        let answer = try await uploader.send(
          .put, "/upload/sessions/sess_a", ["Content-Encoding": encoding], body: announcement)
        #expect(answer.status == status, "\(encoding)")
      }
      let tus = try await uploader.send(
        .post, "/files/", ["Tus-Resumable": "1.0.0", "Upload-Length": "5", "Content-Encoding": "gzip"], body: [])
      #expect(tus.status == 415)
    }
  }
}

import Crypto
import Foundation
import HTTPTypes
import Logging
import Receiver
import Testing

@Suite("POST /upload/recordings")
struct WholeRecordingsPostTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  struct Small {
    var session: String
    var path: String
    var bytes: [UInt8]
    var fields: [String: String] = [:]

    init(_ number: Int, _ path: String? = nil, count: Int = 700) {
      session = "sess_\(number)"
      self.path = path ?? "day/take \(number).wav"
      bytes = noise(count, seed: UInt64(number + 1))
    }
  }

  private static func body(_ recordings: [Small], _ head: [String: Any] = [:]) throws -> [UInt8] {
    let entries = recordings.map { recording -> [String: Any] in
      let entry: [String: Any] = [
        "session_id": recording.session, "path": recording.path, "metadata": ["n": "1"], "bytes": recording.bytes.count,
        "sha256": SHA256.hash(data: recording.bytes).map { String(format: "%02x", $0) }.joined(),
      ]
      return entry.merging(recording.fields as [String: Any]) { $1 }
    }
    let all: [String: Any] = ["device": "studio", "recordings": entries]
    return Array(try JSONSerialization.data(withJSONObject: all.merging(head) { $1 })) + [UInt8(ascii: "\n")]
      + recordings.flatMap(\.bytes)
  }

  @discardableResult
  private static func send(_ recordings: [Small], _ uploader: Uploader, _ head: [String: Any] = [:]) async throws
    -> [[String: Any]]
  {
    let answer = try await uploader.send(.post, "/upload/recordings", body: try body(recordings, head))
    #expect(answer.status == 200)
    return answer.json["recordings"] as? [[String: Any]] ?? []
  }

  private func isSound() throws -> Bool {
    let report = try ReceiverVerifier.verify(dataDirectory: folder.data, logger: Logger(label: "receiver-tests"))
    return report.isSound
  }

  @Test("each recording is whole at once, as if it had come in chunks")
  func whole() async throws {
    let recordings = (0..<64).map { Small($0) }
    try await withReceiver(on: folder) { uploader async throws in
      let answers = try await Self.send(recordings, uploader, ["writer": "writer-1"])
      #expect(answers.count == 64)
      #expect(answers[3]["session_id"] as? String == "sess_3")
      #expect(answers[3]["size"] as? Int == 700)
      #expect(answers[3]["recording"] as? String == "/recordings/studio/day/take%203.wav")
      let digest = SHA256.hash(data: recordings[3].bytes).map { String(format: "%02x", $0) }.joined()
      #expect(answers[3]["sha256"] as? String == digest)

      let report = try await uploader.send(.get, "/upload/sessions/sess_3").json
      #expect(report["state"] as? String == "complete")
      #expect(report["chain"] as? String == answers[3]["chain"] as? String)
      #expect((report["chunks"] as? [[String: Any]])?.first?["version"] as? Int == 1)
      let read = try await uploader.send(.get, "/recordings/studio/day/take%203.wav")
      #expect(read.bytes == recordings[3].bytes)
      // Only the client that began may go on.
      #expect(try await uploader.put([1], as: 0, in: "sess_3", version: 2).error == "other_writer")
    }
    #expect(folder.names("sess_9") == [".reelfs-manifest.json", "take 9.wav"])
    #expect(try folder.inode("sess_9/take 9.wav") == folder.inode("recordings/studio/day/take 9.wav"))
    let manifest = try #require(
      try JSONSerialization.jsonObject(with: Data(folder.bytes("sess_9/.reelfs-manifest.json") ?? [])) as? [String: Any])
    #expect(manifest["metadata"] as? [String: String] == ["n": "1"])
    #expect(manifest["path"] as? String == "day/take 9.wav")
    #expect(try isSound())
  }

  @Test("one that cannot be taken is named with the reason, and the others are stored")
  func partly() async throws {
    var recordings = (0..<6).map { Small($0) }
    recordings[0].fields = ["sha256": String(repeating: "0", count: 64)]
    recordings[1].path = "../outside"
    recordings[2].session = "no session"
    recordings[4].session = recordings[3].session
    let sent = recordings
    try await withReceiver(on: folder) { uploader async throws in
      let answers = try await Self.send(sent, uploader)
      #expect(
        answers.map { $0["error"] as? String } == [
          "digest_mismatch", "bad_path", "bad_session", nil, "known_session", nil,
        ])
    }
    #expect(folder.bytes("recordings/studio/day/take 3.wav") == recordings[3].bytes)
    #expect(folder.bytes("recordings/studio/day/take 5.wav") == recordings[5].bytes)
    #expect(!folder.exists("sess_0"))
    #expect(try isSound())
  }

  @Test("a session of which something is here is refused, however it came, and stays what it is")
  func known() async throws {
    let first = Small(1)
    var again = Small(1, "other name", count: 900)
    again.bytes = noise(900, seed: 77)
    let changed = again
    try await withReceiver(on: folder) { uploader async throws in
      try await Self.send([first], uploader)
      try await uploader.put([1, 2, 3], as: 0, in: "sess_2")
      try await uploader.put([1, 2, 3], as: 7, in: "sess_3")
      let answers = try await Self.send([changed, Small(2), Small(3)], uploader)
      #expect(answers.map { $0["error"] as? String } == ["known_session", "known_session", "known_session"])
    }
    // Also for a receiver that has it in its catalog only.
    try await withReceiver(on: folder) { uploader async throws in
      #expect(try await Self.send([changed], uploader).first?["error"] as? String == "known_session")
    }
    #expect(folder.bytes("recordings/studio/day/take 1.wav") == first.bytes)
    #expect(try isSound())
  }

  @Test("the same recordings again are no error, and one that is only announced is taken")
  func again() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.announce("sess_1", ["device": "studio", "path": "older name"])
      let first = try await Self.send([Small(1), Small(2)], uploader)
      let second = try await Self.send([Small(1), Small(2)], uploader)
      #expect(first.map { $0["chain"] as? String } == second.map { $0["chain"] as? String })
      #expect(first[0]["chain"] != nil)
      // A further name is news, which belongs into an announcement.
      #expect(try await Self.send([Small(2, "other name")], uploader).first?["error"] as? String == "known_session")
      try await uploader.announce("sess_4", ["writer": "somebody else"])
      #expect(try await Self.send([Small(4)], uploader).first?["error"] as? String == "other_writer")
    }
    #expect(folder.names("recordings/studio/day") == ["take 1.wav", "take 2.wav"])
    #expect(!folder.exists("recordings/studio/older name"))
    #expect(try isSound())
  }

  @Test("a recording that came whole is changed, cut and renamed like any other")
  func later() async throws {
    let first = Small(1)
    let changed = noise(500, seed: 5)
    try await withReceiver(on: folder) { uploader async throws in
      try await Self.send([first], uploader)
      try await uploader.announce("sess_1", ["device": "studio", "path": "new name.wav"])
      #expect(try await uploader.put(changed, as: 0, in: "sess_1", version: 2).status == 200)
      #expect(try await uploader.complete("sess_1", changed, path: "new name.wav").status == 200)
    }
    #expect(folder.bytes("recordings/studio/new name.wav") == changed)
    #expect(!folder.exists("recordings/studio/day"))
    #expect(folder.names("sess_1") == [".reelfs-manifest.json", "new name.wav"])
    #expect(try isSound())
  }

  @Test("two recordings with one path, and one at an older one's path: the later one is shown, both are kept")
  func samePath() async throws {
    let recordings = [Small(1, "take"), Small(2, "take"), Small(3, "take")]
    try await withReceiver(on: folder) { uploader async throws in
      try await Self.send([recordings[0]], uploader)
      try await Self.send([recordings[1], recordings[2]], uploader)
    }
    #expect(folder.bytes("recordings/studio/take") == recordings[2].bytes)
    for recording in recordings { #expect(folder.bytes("\(recording.session)/take") == recording.bytes) }
    #expect(try isSound())
  }

  @Test("a body that does not say where a recording begins and ends is refused as a whole")
  func malformed() async throws {
    let good = try Self.body([Small(1)])
    let tooMany = try Self.body((0..<65).map { Small($0, count: 1) })
    try await withReceiver(on: folder) { uploader async throws in
      for body in [[], Array("{}".utf8), Array("{}\n".utf8), good + [0], Array(good.dropLast()), tooMany] {
        let answer = try await uploader.send(.post, "/upload/recordings", body: body)
        #expect(answer.status == 400)
        #expect(answer.error == "bad_body")
      }
      let large = try await uploader.send(.post, "/upload/recordings", body: good + noise(mebibyte, seed: 1))
      #expect(large.status == 413)
      #expect(try await uploader.send(.get, "/upload/recordings").status == 405)
    }
    #expect(folder.names("recordings").isEmpty)
  }

  @Test("at the limit of sessions all of a request are refused, and none is half there")
  func full() async throws {
    var limits = ReceiverConfiguration.Limits()
    limits.sessionsMax = 3
    try await withReceiver(on: folder, limits: limits) { uploader async throws in
      try await Self.send([Small(1), Small(2)], uploader)
      let answer = try await uploader.send(.post, "/upload/recordings", body: try Self.body([Small(3), Small(4)]))
      #expect(answer.status == 507)
      #expect(try await uploader.send(.get, "/upload/sessions/sess_3").status == 404)
      #expect(try await Self.send([Small(3)], uploader).first?["error"] == nil)
    }
    #expect(try isSound())
  }

  @Test("many requests at once are stored together, and each gets its own receipts")
  func concurrent() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      try await withThrowingTaskGroup(of: [Bool].self) { group in
        for batch in 0..<8 {
          group.addTask {
            let recordings = (0..<20).map { Small(batch * 100 + $0) }
            let answers = try await Self.send(recordings, uploader)
            return zip(recordings, answers).map { $0.session == $1["session_id"] as? String && $1["chain"] != nil }
          }
        }
        for try await receipts in group { #expect(receipts == [Bool](repeating: true, count: 20)) }
      }
    }
    #expect(folder.names("recordings/studio/day").count == 160)
    #expect(try isSound())
  }

  @Test("what was announced and not stored before the receiver died can be sent chunk by chunk")
  func afterCrash() async throws {
    // What a kill between the first transaction and the second leaves: rows, and folders with files that nobody counts on.
    let recording = Small(1)
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.announce("sess_1", ["device": "studio", "path": "take"])
    }
    try folder.write(noise(900, seed: 9), to: "sess_1/temp/recording")
    try folder.write([1, 2, 3], to: "sess_1/temp/manifest.json")
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.upload(recording.bytes, as: "sess_1")
      #expect(try await uploader.complete("sess_1", recording.bytes, path: "take").status == 200)
    }
    #expect(folder.bytes("recordings/studio/take") == recording.bytes)
    #expect(folder.names("sess_1") == [".reelfs-manifest.json", "take"])
    #expect(try isSound())
  }
}

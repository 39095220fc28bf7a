import Foundation
import GRDB
import HTTPTypes
import Logging
import Receiver
import Testing

@Suite("What an interrupted run left is mended at the next start")
struct RecoveryTests {
  let folder: TemporaryFolder
  let recording = noise(5 * mebibyte + 321, seed: 1)

  init() throws { folder = try TemporaryFolder() }

  @Test("what was acknowledged is there after a restart")
  func restart() async throws {
    try await withReceiver(on: folder) { [recording] uploader async throws in
      for index in [0, 1, 4] {
        try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a", version: 2)
      }
    }

    try await withReceiver(on: folder) { [recording] uploader async throws in
      let chunks = try await uploader.send(.get, "/upload/sessions/sess_a").json["chunks"] as? [[String: Any]]
      #expect(chunks?.compactMap { $0["index"] as? Int } == [0, 1, 4])
      #expect(chunks?.compactMap { $0["version"] as? Int } == [2, 2, 2])
      for index in [2, 3, 5] { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a") }
      #expect(try await uploader.complete("sess_a", recording).status == 200)
    }

    #expect(folder.bytes("sess_a/take.wav") == recording)
  }

  @Test("bytes and names that were never acknowledged vanish or are overwritten")
  func leftovers() async throws {
    try await withReceiver(on: folder) { [recording] uploader async throws in
      for index in [0, 4] { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a") }
    }
    try folder.write(chunk(0, of: recording) + noise(700_000, seed: 8), to: "sess_a/temp/recording")
    try folder.write([1], to: "sess_a/temp/shard_0000/2.part")
    try folder.write([1], to: "sess_a/temp/shard_0000/.4.part.v2")
    try folder.write([1], to: "sess_a/temp/recording.copy")

    try await withReceiver(on: folder) { [recording] uploader async throws in
      #expect(folder.names("sess_a/temp") == ["recording", "shard_0000"])
      #expect(folder.names("sess_a/temp/shard_0000") == ["4.part"])
      for index in [1, 2, 3, 5] { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a") }
      #expect(try await uploader.complete("sess_a", recording).status == 200)
    }

    #expect(folder.bytes("sess_a/take.wav") == recording)
  }

  @Test("a part that was committed under its temporary name gets its own")
  func unsettledPart() async throws {
    let (old, new) = (noise(900, seed: 2), noise(900, seed: 3))
    try await withReceiver(on: folder) { uploader async throws in
      try await uploader.put(old, as: 4, in: "sess_a", version: 1)
      try await uploader.put(new, as: 4, in: "sess_a", version: 2)
    }
    // The power cut undid the rename, which is not synced.
    try folder.write(new, to: "sess_a/temp/shard_0000/.4.part.v2")
    try folder.write(old, to: "sess_a/temp/shard_0000/4.part")

    try await withReceiver(on: folder) { _ in }

    #expect(folder.bytes("sess_a/temp/shard_0000/4.part") == new)
    #expect(folder.names("sess_a/temp/shard_0000") == ["4.part"])
  }

  @Test("an interrupted fold over older bytes is done again")
  func unfinishedFold() async throws {
    try await withReceiver(on: folder) { [recording] uploader async throws in
      for index in 0..<6 { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a") }
    }
    // As after a crash in the middle of the copy: the part is committed, the recording holds half of it.
    let new = noise(mebibyte, seed: 9)
    try folder.write(new, to: "sess_a/temp/shard_0000/2.part")
    var torn = recording
    torn.replaceSubrange(2 * mebibyte..<2 * mebibyte + 500_000, with: new.prefix(500_000))
    try folder.write(torn, to: "sess_a/temp/recording")
    try await change(
      "UPDATE chunk SET place = 0, version = 2, digest = ? WHERE idx = 2", [Data(digests(of: new))])

    try await withReceiver(on: folder) { _ in }

    var expected = recording
    expected.replaceSubrange(2 * mebibyte..<3 * mebibyte, with: new)
    #expect(folder.bytes("sess_a/temp/recording") == expected)
    #expect(folder.names("sess_a/temp/shard_0000").isEmpty)
  }

  @Test("an interrupted publication is finished")
  func unfinishedPublication() async throws {
    try await withReceiver(on: folder) { [recording] uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.complete("sess_a", recording)
    }
    // As after a crash right behind the commit: nothing has its final name yet.
    let manifest = try #require(folder.bytes("sess_a/.reelfs-manifest.json"))
    try folder.write(recording, to: "sess_a/temp/recording")
    try folder.write(manifest, to: "sess_a/temp/manifest.json")
    for name in ["sess_a/take.wav", "sess_a/.reelfs-manifest.json", "recordings/studio/take.wav"] {
      try FileManager.default.removeItem(atPath: folder.data + "/" + name)
    }
    try await change("UPDATE session SET publish = 1, whole = NULL, link = NULL", [])

    try await withReceiver(on: folder) { _ in }

    #expect(folder.names("sess_a") == [".reelfs-manifest.json", "take.wav"])
    #expect(folder.bytes("recordings/studio/take.wav") == recording)
    #expect(try verify().isSound)
  }

  @Test("an interrupted copy of a changing recording is made again")
  func unfinishedCopy() async throws {
    try await withReceiver(on: folder) { [recording] uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.complete("sess_a", recording)
    }
    try await change("UPDATE session SET complete = 0, prepared = 0", [])
    try folder.write([1, 2, 3], to: "sess_a/temp/recording.copy")

    try await withReceiver(on: folder) { [recording] uploader async throws in
      #expect(try await uploader.complete("sess_a", recording).status == 200)
    }

    #expect(folder.bytes("sess_a/take.wav") == recording)
  }

  @Test("chunks that the disk lost are asked for again")
  func lostBytes() async throws {
    try await withReceiver(on: folder) { [recording] uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
    }
    try folder.write(Array(recording.prefix(2 * mebibyte + 5)), to: "sess_a/temp/recording")

    try await withReceiver(on: folder) { [recording] uploader async throws in
      #expect(try await uploader.complete("sess_a", recording).json["missing"] as? [Int] == [2, 3, 4, 5])
      for index in 2..<6 { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_a") }
      #expect(try await uploader.complete("sess_a", recording).status == 200)
    }
  }

  enum Damage: String, CaseIterable {
    case missing, empty, garbage
  }

  @Test("a lost or damaged catalog is set aside and rebuilt from the data", arguments: Damage.allCases)
  func rebuild(damage: Damage) async throws {
    let whole = noise(mebibyte + 44, seed: 5)
    try await withReceiver(on: folder) { [recording] uploader async throws in
      try await uploader.upload(whole, as: "sess_whole")
      try await uploader.complete("sess_whole", whole, path: "whole.mkv")
      for index in [0, 1, 4] {
        try await uploader.put(chunk(index, of: recording), as: index, in: "sess_part", version: 3)
      }
    }
    switch damage {
    case .missing: try FileManager.default.removeItem(atPath: folder.data + "/receiver.sqlite")
    case .empty: try folder.write([], to: "receiver.sqlite")
    case .garbage: try folder.write(noise(20_000, seed: 6), to: "receiver.sqlite")
    }

    try await withReceiver(on: folder) { [recording] uploader async throws in
      let known = try await uploader.send(.get, "/upload/sessions/sess_whole").json
      #expect(known["state"] as? String == "complete")
      #expect(known["path"] as? String == "whole.mkv")
      #expect(try await uploader.send(.get, "/recordings/studio/whole.mkv").bytes == whole)
      // Versions are unknown: the same bytes are recognised, others replace what was found.
      #expect(try await uploader.put(chunk(4, of: recording), as: 4, in: "sess_part", version: 3).status == 200)
      for index in [2, 3, 5] { try await uploader.put(chunk(index, of: recording), as: index, in: "sess_part") }
      #expect(try await uploader.complete("sess_part", recording).status == 200)
    }

    #expect(folder.bytes("recordings/studio/take.wav") == recording)
    #expect(try verify().isSound)
    #expect(folder.names("").contains { $0.hasPrefix("receiver.sqlite.damaged-") } == (damage == .garbage))
  }

  @Test("a catalog from a newer receiver is refused and left alone")
  func newerCatalog() async throws {
    try await withReceiver(on: folder) { uploader in try await uploader.put([1], as: 0, in: "sess_a") }
    try await change("INSERT INTO grdb_migrations (identifier) VALUES ('999')", [])

    await #expect(throws: ReceiverError.self) { try await withReceiver(on: folder) { _ in } }

    #expect(!folder.names("").contains { $0.contains("damaged") })
  }

  @Test("verifying finds every kind of damage")
  func verifying() async throws {
    try await withReceiver(on: folder) { [recording] uploader async throws in
      try await uploader.upload(recording, as: "sess_a")
      try await uploader.complete("sess_a", recording)
      try await uploader.put(chunk(1, of: recording), as: 7, in: "sess_b")
    }
    let sound = try verify()
    #expect(sound.isSound)
    #expect(sound.chunkCount == 7)
    #expect(sound.byteCount == Int64(recording.count + mebibyte))

    var changed = recording
    changed[3 * mebibyte + 9] ^= 1
    let handle = try #require(FileHandle(forWritingAtPath: folder.data + "/sess_a/take.wav"))
    try handle.write(contentsOf: changed)
    try handle.close()
    try folder.write([0], to: "sess_b/temp/shard_0000/7.part")

    let report = try verify()
    #expect(report.problemCount == 2)
    #expect(report.problems.contains { $0.contains("sess_a chunk 3") })
    #expect(report.problems.contains { $0.contains("sess_b chunk 7") })
  }

  private func verify() throws -> ReceiverVerifier.Report {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return try ReceiverVerifier.verify(dataDirectory: folder.data, logger: logger)
  }

  /// Changes the catalog as a crash would have left it.
  private func change(_ sql: String, _ arguments: StatementArguments) async throws {
    let queue = try DatabaseQueue(path: folder.data + "/receiver.sqlite")
    try await queue.write { db in try db.execute(sql: sql, arguments: arguments) }
    try queue.close()
  }
}

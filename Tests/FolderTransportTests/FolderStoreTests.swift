import FolderTransport
import Foundation
import Glibc
import Testing
import UploadCore
import UploadProtocol

@Suite("Folder destination")
final class FolderStoreTests {
  let folder = NSTemporaryDirectory() + "reelfs-folder-" + UUID().uuidString
  let session = SessionID(number: 0x1234)
  static let digest = ChunkDigest(bytes: [UInt8](repeating: 7, count: 32))!

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func store(identity: String? = nil) -> FolderStore { FolderStore(folder: folder, identity: identity) { _ in } }
  func transport(_ store: FolderStore) -> FolderTransport { FolderTransport(store, clock: Clock()) }

  struct Clock: MonotonicClock {
    var now: Instant {
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
  }

  /// Carries out one request and waits for its outcome, at most 20 s.
  func outcome(_ transport: FolderTransport, _ request: UploadRequest, _ payload: UploadPayload) -> TransferOutcome? {
    let id = TransferID(UInt64.random(in: 1 ... .max))
    transport.start(Transfer(id: id, request: request), payload)
    let deadline = Clock().now + .seconds(20)
    while Clock().now < deadline {
      for case .transferred(id, let outcome) in transport.poll(until: deadline) { return outcome }
    }
    return nil
  }

  func facts(_ path: String) -> SessionFacts { SessionFacts(path: Array(path.utf8), inode: 1) }
  func announce(_ transport: FolderTransport, _ path: String) -> TransferOutcome? {
    outcome(transport, .announce(session), .announce(SessionAnnouncement(session: session, facts: facts(path))))
  }
  func send(_ transport: FolderTransport, _ index: Int, _ bytes: [UInt8]) -> TransferOutcome? {
    let chunk = ChunkID(session, index)
    return outcome(
      transport, .chunk(chunk), .chunk(ChunkPayload(chunk: chunk, version: .first, digest: Self.digest, bytes: bytes)))
  }
  func complete(_ transport: FolderTransport, _ path: String, size: Int64) -> TransferOutcome? {
    outcome(
      transport, .complete(session),
      .complete(RecordingManifest(session: session, facts: facts(path), revision: 5, size: size, digests: [])))
  }
  func content(_ path: String) -> [UInt8]? {
    FileManager.default.contents(atPath: folder + "/" + path).map(Array.init)
  }

  @Test("a recording grows as path.partial, in any order, and gets its name when it is whole")
  func growsAndCompletes() {
    let transport = transport(store())
    #expect(announce(transport, "a/take.wav") == .announced(facts("a/take.wav")))
    let last = [UInt8](repeating: 2, count: 10)
    #expect(send(transport, 1, last) == .stored(.first, Self.digest, bytes: 10))
    #expect(content("a/take.wav.partial")?.count == ChunkLayout.chunkBytes + 10)
    #expect(content("a/take.wav") == nil)
    _ = send(transport, 0, [UInt8](repeating: 1, count: ChunkLayout.chunkBytes))
    #expect(complete(transport, "a/take.wav", size: Int64(ChunkLayout.chunkBytes + 10)) == .completed(revision: 5))
    #expect(content("a/take.wav") == [UInt8](repeating: 1, count: ChunkLayout.chunkBytes) + last)
    #expect(content("a/take.wav.partial") == nil)
    transport.stop()
  }

  @Test("a whole recording that changes stays whole under its name until the changed one is")
  func changesLater() {
    let transport = transport(store())
    _ = announce(transport, "x")
    _ = send(transport, 0, [1, 2, 3])
    _ = complete(transport, "x", size: 3)
    _ = send(transport, 0, [9, 2, 3, 4])
    #expect(content("x") == [1, 2, 3])
    #expect(complete(transport, "x", size: 4) == .completed(revision: 5))
    #expect(content("x") == [9, 2, 3, 4])
    transport.stop()
  }

  @Test("a recording that is renamed is renamed there, growing or whole")
  func renamed() {
    let transport = transport(store())
    _ = announce(transport, "x.part")
    _ = send(transport, 0, [1])
    #expect(announce(transport, "x.wav") == .announced(facts("x.wav")))
    #expect(content("x.wav.partial") == [1])
    _ = complete(transport, "x.wav", size: 1)
    #expect(announce(transport, "sub/y.wav") == .announced(facts("sub/y.wav")))
    #expect(content("sub/y.wav") == [1])
    #expect(content("x.wav") == nil)
    transport.stop()
  }

  @Test("a crash between a file's new name and the note of it is made up for: nothing is left behind, nothing is stuck")
  func crashes() throws {
    let transport = transport(store())
    _ = announce(transport, "x")
    _ = send(transport, 0, [1, 2, 3])
    let intent = folder + "/.reelfs/sessions/\(session).intent"
    func leave(_ source: String, _ path: String, _ partial: String) throws {
      try Data(Array(source.utf8) + [0] + Array(path.utf8) + [0] + Array(partial.utf8)).write(to: URL(filePath: intent))
    }

    // Made whole, but not noted.
    try leave("x.partial", "x", "")
    try FileManager.default.moveItem(atPath: folder + "/x.partial", toPath: folder + "/x")
    #expect(complete(transport, "x", size: 3) == .completed(revision: 5))
    // Intended, but not done.
    try leave("x", "y", "")
    #expect(complete(transport, "x", size: 3) == .completed(revision: 5))
    #expect(content("x") == [1, 2, 3])
    // A copy for a change that was cut off in the middle.
    try leave("\(session).copy", "x", "x.partial")
    try Data([1]).write(to: URL(filePath: folder + "/\(session).copy"))
    _ = announce(transport, "x")
    _ = send(transport, 0, [9, 2, 3])
    #expect(complete(transport, "x", size: 3) == .completed(revision: 5))

    #expect(content("x") == [9, 2, 3])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [".reelfs", "x"])
    #expect(!FileManager.default.fileExists(atPath: intent))
    transport.stop()
  }

  @Test("somebody else's path.partial is left alone")
  func foreignPartial() throws {
    try Data("mine".utf8).write(to: URL(fileURLWithPath: folder + "/x.partial"))
    let transport = transport(store())
    _ = announce(transport, "x")
    _ = send(transport, 0, [1])
    #expect(content("x.partial") == Array("mine".utf8))
    #expect(complete(transport, "x", size: 1) == .completed(revision: 5))
    #expect(content("x") == [1])
    transport.stop()
  }

  @Test("a folder that is gone means nobody is there, and another folder in its place is not written to")
  func goneOrSwapped() throws {
    let transport = transport(store())
    _ = announce(transport, "x")
    try FileManager.default.moveItem(atPath: folder, toPath: folder + ".away")
    defer { try? FileManager.default.removeItem(atPath: folder + ".away") }
    guard case .unreachable = send(transport, 0, [1]) else { return #expect(Bool(false), "the folder is gone") }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    guard case .unreachable(let words) = send(transport, 0, [1]) else { return #expect(Bool(false), "not the same folder") }
    #expect(words.contains("is the disk mounted?"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    try FileManager.default.removeItem(atPath: folder)
    try FileManager.default.moveItem(atPath: folder + ".away", toPath: folder)
    #expect(send(transport, 0, [1]) == .stored(.first, Self.digest, bytes: 1))
    transport.stop()
  }

  @Test("what is there but shorter than it should be is asked for again")
  func incomplete() {
    let transport = transport(store())
    _ = announce(transport, "x")
    _ = send(transport, 0, [UInt8](repeating: 1, count: ChunkLayout.chunkBytes))
    #expect(complete(transport, "x", size: Int64(2 * ChunkLayout.chunkBytes)) == .incomplete(missing: [1]))
    transport.stop()
  }
}

import Foundation
import Glibc
import Spool
import Synchronization
import SystemPackage
import UploadCore
import UploadProtocol

/// A clock that stands until it is moved.
final class StandingClock: MonotonicClock {
  private let moment = Mutex(Instant(nanoseconds: 0))
  var now: Instant { moment.withLock { $0 } }
  func pass(_ span: Span) { moment.withLock { $0 = $0 + span } }
}

struct HarnessFailure: Error {
  let words: String
}

/// A spool in a temporary folder of its own; `reopen` begins its next life.
final class SpoolHarness {
  let folder: String
  let clock = StandingClock()
  private(set) var spool: Spool
  private(set) var inbox: SpoolInbox
  private let controls = Mailbox<UploadEvent>()
  private let fetchChunk: @Sendable (ChunkID) throws -> [UInt8]
  private let further: Int
  private let wholeBytesMax: Int
  /// Of further destinations.
  private(set) var feeds: [CopyFeed]

  /// - Parameters:
  ///   - further: destinations beside the first.
  ///   - fetchChunk: the destination, for chunks that are only there.
  init(
    further: Int = 0, wholeBytesMax: Int = 0,
    fetchChunk: @escaping @Sendable (ChunkID) throws -> [UInt8] = { _ in throw SpoolError.missing }
  ) throws {
    self.wholeBytesMax = wholeBytesMax
    self.fetchChunk = fetchChunk
    self.further = further
    var template = Array((NSTemporaryDirectory() + "/reelfs-spool-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw HarnessFailure(words: "no temporary folder") }
    folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    for name in ["recordings", "orphans"] { mkdir(folder + "/" + name, 0o755) }
    (spool, inbox, feeds) = try Self.begin(folder, clock, controls, further, wholeBytesMax, fetchChunk)
  }

  private static func begin(
    _ folder: String, _ clock: StandingClock, _ controls: Mailbox<UploadEvent>, _ further: Int, _ wholeBytesMax: Int,
    _ fetchChunk: @escaping @Sendable (ChunkID) throws -> [UInt8]
  ) throws -> (Spool, SpoolInbox, [CopyFeed]) {
    let journal = try Journal(path: folder + "/journal.sqlite")
    let feeds = try journal.useCopies((0..<further).map { ("copy \($0)", .stored) }).map {
      CopyFeed(journal: $0, plansRuns: false, wake: {})
    }
    let tree = try SpoolTree(recordings: FilePath(folder + "/recordings"), orphans: FilePath(folder + "/orphans"))
    let spool = Spool(
      tree: tree, journal: journal, clock: clock, sealPolicy: SealPolicy(), settleTime: .seconds(1),
      wholeBytesMax: wholeBytesMax, feeds: feeds, fetchChunk: fetchChunk, wake: {})
    return (spool, SpoolInbox(spool: spool, controls: controls, restored: []), feeds)
  }

  /// The process has died and begins again. - Returns: what recovery found, and every event that follows from it.
  /// - Parameter losingJournal: its files are gone meanwhile.
  func reopen(losingJournal: Bool = false) throws -> (report: Recovery.Report, events: [UploadEvent]) {
    spool.journal.close()
    for suffix in losingJournal ? ["", "-wal", "-shm"] : [] { unlink(folder + "/journal.sqlite" + suffix) }
    (spool, inbox, feeds) = try Self.begin(folder, clock, controls, further, wholeBytesMax, fetchChunk)
    var recovery = Recovery(spool: spool)
    let restored = try recovery.run()
    inbox = SpoolInbox(spool: spool, controls: controls, restored: restored)
    return (recovery.report, inbox.drain(now: clock.now))
  }

  func remove() {
    spool.journal.close()
    try? FileManager.default.removeItem(atPath: folder)
  }

  func path(_ name: String) -> String { folder + "/recordings/" + name }

  func inode(_ name: String) throws -> UInt64 {
    try Backing.status(Array(name.utf8), in: spool.tree.root).inode
  }

  /// A new recording with one writer.
  func create(_ name: String) throws -> Recording {
    let file = try Backing.open(Array(name.utf8), in: spool.tree.root, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o644)
    let inode = try Backing.status(file).inode
    spool.tree.remember(inode, as: Array(name.utf8), in: spool.tree.rootInode)
    let recording = try spool.adopt(file, inode: inode, path: Array(name.utf8), isNew: true)
    try recording.opened(forWriting: true)
    return recording
  }

  func write(_ recording: Recording, _ offset: Int64, _ bytes: [UInt8]) throws {
    let change = try recording.beginWrite(offset: offset, count: Int64(bytes.count))
    _ = try recording.descriptor.writeAll(toAbsoluteOffset: offset, bytes)
    recording.endWrite(change, offset: offset, written: Int64(bytes.count))
  }

  /// Takes everything that happened, and records nothing of it.
  func drain() -> [UploadEvent] { inbox.drain(now: clock.now) }

  /// Hands everything that happened to the journal, as the scheduler would.
  @discardableResult
  func record() throws -> [UploadEvent] {
    let events = inbox.drain(now: clock.now)
    try spool.journal.record(
      events.compactMap { event in
        switch event {
        case .registered(let session, let facts): .registered(session, facts)
        case .opened(let session): .opened(session)
        case .sealed(let chunk, let version, let bytes): .sealed(chunk, version, bytes: bytes)
        case .truncated(let session, let count, let base): .dropped(session, from: count, base: base)
        case .renamed(let session, let facts): .renamed(session, facts)
        case .finished(let session, let size): .finished(session, size: size)
        case .removed(let session): .removed(session)
        default: nil
        }
      })
    return events
  }
}

func withHarness(_ body: (SpoolHarness) throws -> Void) throws {
  let harness = try SpoolHarness()
  defer { harness.remove() }
  try body(harness)
}

let mebibyte = ChunkLayout.chunkBytes

func digest(_ byte: UInt8) -> ChunkDigest { ChunkDigest(bytes: [UInt8](repeating: byte, count: 32))! }

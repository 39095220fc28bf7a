import Foundation
import Glibc
import Spool
import Synchronization
import Testing
import UploadCore
import UploadProtocol

@Suite("Eviction")
struct EvictionTests {
  private static let bytes = [UInt8](repeating: 1, count: mebibyte)
  /// Of `bytes`.
  private static let digest = ChunkDigest(hex: "ee78cd29d3a534713b36e6ff6fa3668c8a8f851a542d5eb2401c25ca4e057d02")!

  /// A synced recording of two chunks whose bytes are only at the destination.
  private func evicted(_ harness: SpoolHarness) throws -> Recording {
    let take = try harness.create("take")
    try harness.write(take, 0, Self.bytes + Self.bytes)
    take.closed(forWriting: true)
    harness.clock.pass(.seconds(1))
    try harness.record()
    try harness.spool.journal.record((0..<2).map { .stored(ChunkID(take.session, $0), .first, Self.digest) })
    harness.spool.start()
    harness.spool.evict([take.session])
    let end = ContinuousClock.now + .seconds(60)
    while take.allocatedBytes >= mebibyte {
      guard ContinuousClock.now < end else { throw HarnessFailure(words: "nothing was evicted") }
      usleep(1_000)
    }
    return take
  }

  @Test("what is cut off while it is fetched back does not make the recording longer again")
  func cutWhileFetched() throws {
    let (asked, mayAnswer, isRead) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let harness = try SpoolHarness { _ in
      asked.signal()
      mayAnswer.wait()
      return Self.bytes
    }
    defer { harness.remove() }
    let take = try evicted(harness)
    defer { harness.spool.stop() }
    try take.opened(forWriting: true)
    Thread {
      if (try? take.pin(offset: Int64(mebibyte), count: 10)) != nil { take.unpin() }
      isRead.signal()
    }.start()
    #expect(asked.wait(timeout: .now() + 60) == .success)
    try take.truncate(to: Int64(mebibyte))
    mayAnswer.signal()
    #expect(isRead.wait(timeout: .now() + 60) == .success)

    #expect(try Backing.status(take.descriptor).size == Int64(mebibyte))
    take.closed(forWriting: true)
  }

  @Test("a chunk that the destination misses and that was evicted stays evicted, and counts once")
  func unstored() throws {
    let harness = try SpoolHarness { _ in Self.bytes }
    defer { harness.remove() }
    let take = try evicted(harness)
    defer { harness.spool.stop() }
    try harness.spool.journal.record([.unstored(ChunkID(take.session, 0))])

    let row = try #require(try harness.spool.journal.session(take.session))
    #expect(row.storedChunks == 2 && row.storedBytes == Int64(2 * mebibyte) && row.storedThrough == 2)
    #expect(!row.isSynced)
    #expect(try harness.spool.journal.restored().first?.1.pending == [])
  }
}

extension Recording {
  /// Of the backing file.
  fileprivate var allocatedBytes: Int64 { ((try? Backing.status(descriptor))?.blocks).map { Int64($0) * 512 } ?? .max }
}

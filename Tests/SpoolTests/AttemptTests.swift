import Spool
import Testing
import UploadCore
import UploadProtocol

@Suite("Attempts in the journal")
struct AttemptTests {
  /// 2026-11-26T12:00:00Z.
  private static let noon = 1_795_694_400.0

  private func withJournal(_ body: (Journal) throws -> Void) throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    for number in 1...2 {
      let path = Array("take \(number)".utf8)
      try harness.spool.journal.record([.registered(SessionID(number: Int64(number)), SessionFacts(path: path, inode: 3))])
    }
    try body(harness.spool.journal)
  }

  private func attempt(
    _ ending: UploadAttempt.Ending, of number: Int64 = 1, after failures: Int = 0, message: String? = nil
  ) -> JournalFact {
    .attempted(
      UploadAttempt(
        session: SessionID(number: number), ending: ending, chunks: 1, bytes: ending == .stored ? 1_000 : 0,
        duration: .milliseconds(250), failuresBefore: failures, message: message))
  }

  @Test("attempts are summed by hour and ending")
  func sums() throws {
    try withJournal { journal in
      try journal.record([attempt(.stored), attempt(.stored, after: 2), attempt(.failed)], at: Self.noon)
      try journal.record([attempt(.stored)], at: Self.noon + 3_600)

      let hours = try journal.attemptHours(since: 0)
      #expect(hours.map(\.ending) == [.failed, .stored, .stored])
      let stored = hours[1]
      #expect(stored.hour == 498_804 && stored.attempts == 2 && stored.retries == 1)
      #expect(stored.chunks == 2 && stored.bytes == 2_000 && stored.milliseconds == 500)
      #expect(try journal.attemptHours(since: Self.noon + 3_600).count == 1)
    }
  }

  @Test("recordings with failures are named, the worst first, with the last one's words")
  func troubles() throws {
    try withJournal { journal in
      try journal.record([attempt(.failed, of: 2, message: "500")], at: Self.noon)
      for failure in 0..<3 {
        try journal.record([attempt(.stalled, after: failure, message: "no byte moved, \(failure)")], at: Self.noon + 1)
      }
      try journal.record([attempt(.stored, after: 3), attempt(.stored)], at: Self.noon + 2)

      let troubles = try journal.attemptTroubles(since: 0, max: 10)
      #expect(troubles.map { String(decoding: $0.path, as: UTF8.self) } == ["take 1", "take 2"])
      #expect(troubles[0].failures == 3 && troubles[0].attempts == 5 && troubles[0].inARowMax == 3)
      #expect(troubles[0].lastEnding == .stalled && troubles[0].lastMessage == "no byte moved, 2")
      #expect(try journal.attemptTroubles(since: Self.noon + 0.5, max: 10).count == 1)
      #expect(try journal.attemptTroubles(since: 0, max: 1).count == 1)
    }
  }

  @Test("a removed recording leaves its part of the sums, and nothing else; a late failure of it brings nothing back")
  func removed() throws {
    try withJournal { journal in
      try journal.record([attempt(.failed), .removed(SessionID(number: 1)), attempt(.failed)], at: Self.noon)

      #expect(try journal.attemptTroubles(since: 0, max: 10).isEmpty)
      #expect(try journal.attemptHours(since: 0).map(\.attempts) == [2])
    }
  }

  @Test("what is older than 90 days goes when a new hour begins")
  func pruned() throws {
    try withJournal { journal in
      try journal.record([attempt(.failed)], at: Self.noon)
      try journal.record([attempt(.stored, of: 2)], at: Self.noon + 89 * 86_400)
      #expect(try journal.attemptHours(since: 0).count == 2)

      try journal.record([attempt(.stored, of: 2)], at: Self.noon + 91 * 86_400)

      #expect(try journal.attemptHours(since: 0).count == 2)
      #expect(try journal.attemptTroubles(since: 0, max: 10).isEmpty)
    }
  }

  @Test("a server's words are cut, and a thousand failures keep few rows")
  func bounded() throws {
    try withJournal { journal in
      let words = String(repeating: "x", count: 9_000)
      for _ in 0..<20 { try journal.record((0..<50).map { _ in attempt(.failed, message: words) }, at: Self.noon) }

      let trouble = try #require(try journal.attemptTroubles(since: 0, max: 10).first)
      #expect(trouble.failures == 1_000)
      #expect(trouble.lastMessage.count == 500)
      #expect(try journal.attemptFailureCount() == 8)
    }
  }
}

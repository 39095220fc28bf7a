import Spool
import Testing
import UploadCore
import UploadProtocol

@Suite("Sums over many recordings")
struct SumTests {
  private func withJournal(_ body: (Journal) throws -> Void) throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    try body(harness.spool.journal)
  }

  /// Recording `number` at `path`, as far as the facts after its registration take it.
  private func add(_ number: Int64, _ path: String, _ journal: Journal, _ facts: (SessionID) -> [JournalFact]) throws {
    let session = SessionID(number: number)
    let identity = SessionFacts(path: Array(path.utf8), inode: UInt64(number))
    try journal.record([.registered(session, identity), .announced(session, identity)] + facts(session))
  }

  private func synced(_ size: Int64) -> (SessionID) -> [JournalFact] {
    { [.finished($0, size: size), .synced($0, revision: 0)] }
  }

  @Test("whoever is settled is summed up, everybody else is shown, below a folder and below all")
  func settledAndOthers() throws {
    try withJournal { journal in
      try add(1, "a/one", journal, synced(5))
      try add(2, "a/two", journal, synced(Int64(mebibyte) + 1))
      try add(3, "a0", journal, synced(7))
      try add(4, "a/open", journal) { _ in [] }
      try add(5, "a/refused", journal) { [.finished($0, size: 3), .failed($0, "no")] }
      try add(6, "b", journal, synced(9))
      try journal.record([.renamed(SessionID(number: 6), SessionFacts(path: Array("b2".utf8), inode: 6))])

      var others: [Int64] = []
      var sum = try journal.eachUnsettled(below: Array("a".utf8), loaded: []) { others.append($0.session.number) }
      #expect(others == [4, 5])
      #expect((sum.recordings, sum.bytes, sum.chunks) == (2, Int64(mebibyte) + 6, 3))
      #expect(sum.lastSyncedAt != nil)

      others = []
      sum = try journal.eachUnsettled(below: [], loaded: [SessionID(number: 1)]) { others.append($0.session.number) }
      #expect(others == [1, 4, 5, 6], "in path order, with the loaded one")
      #expect((sum.recordings, sum.bytes) == (2, Int64(mebibyte) + 8))
    }
  }

  @Test("more than a page of others does not change the sum, and sparse giants do not overflow it")
  func pagesAndGiants() throws {
    try withJournal { journal in
      for number in 1...2_100 {
        try add(Int64(number), "take\(number)", journal, number % 2 == 0 ? synced(.max) : { [.finished($0, size: 1)] })
      }
      var others = 0
      let sum = try journal.eachUnsettled(below: [], loaded: []) { _ in others += 1 }
      #expect(others == 1_050)
      #expect(sum.recordings == 1_050)
      #expect(sum.bytes == .max)
    }
  }
}

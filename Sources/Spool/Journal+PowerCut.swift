internal import UploadCore
public import UploadProtocol
internal import Foundation
internal import GRDB
internal import Synchronization

// After a power cut the journal may know of bytes that the disk has lost: the destination has them.
extension Journal {
  /// The kernel writes a file's bytes to the disk half a minute after they were written, later when it is busy. Bytes that
  /// were stored longer than this before the cut are on the disk.
  static let writeBackSeconds = 600.0

  /// In the place of a life of the disk: the journal was closed, and has no log, but the recordings could not be synced.
  static let notSynced = "not synced"

  /// Notes which life of the disk uses the journal. After a power cut its pages are checked, and every recording is noted
  /// whose bytes may be lost.
  static func beginUse(_ pool: DatabasePool, path: String, logWasThere: Bool) throws {
    // Another boot, or another mount of the disk: what was not synced before may be gone.
    let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
    let life = "\(boot) \(Backing.uniqueMountID(of: Array(path.utf8)))"
    try pool.write { db in
      // Seals that were on their way died with the last process.
      try db.execute(sql: "DELETE FROM truncations")
      let last = try String.fetchOne(db, sql: "SELECT value FROM settings WHERE name = 'in_use_by_boot'")
      if last != nil, last != notSynced, !logWasThere { throw JournalError("its write-ahead log is gone") }
      try db.execute(
        sql: "INSERT OR REPLACE INTO settings (name, value) VALUES ('in_use_by_boot', ?)", arguments: [life])
      guard let last, last != life else { return }
      let verdict = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
      if verdict != "ok" { throw JournalError("it is damaged: \(verdict ?? "no answer to quick_check")") }
      try db.execute(
        sql: """
          INSERT OR IGNORE INTO settings (name, value)
          SELECT 'unchecked ' || number, '' FROM sessions WHERE is_open = 1 OR is_finished = 0 OR number IN (
            SELECT session FROM chunks WHERE state = 2
              AND at > (SELECT MAX(at) FROM chunks WHERE state = 2) - ?)
          """, arguments: [writeBackSeconds])
      // What only a further destination has; there `at` is when it was sealed.
      try db.execute(
        sql: """
          INSERT OR IGNORE INTO settings (name, value)
          SELECT DISTINCT 'unchecked ' || c.session, '' FROM chunk_copies k JOIN chunks c USING (session, idx)
          WHERE c.state = 1 AND c.at > (SELECT MAX(at) FROM chunks WHERE state = 1) - ?
          """, arguments: [writeBackSeconds])
      // What is sealed may have other bytes now than were sent of it in part: an append that went half way must not go on
      // with them. (The chunk protocol compares digests.) Where some destination has the chunk, its receipt decides.
      try db.execute(
        sql: """
          UPDATE chunks SET version = version + 1
          WHERE state = 1 AND session IN (SELECT session FROM remote_facts UNION SELECT session FROM remote_copies)
            AND NOT EXISTS (SELECT 1 FROM chunk_copies k WHERE k.session = chunks.session AND k.idx = chunks.idx)
          """)
      // The cut may have taken receipts of later versions: what the destination has now is known when it confirms the whole.
      try db.execute(
        sql: "INSERT OR IGNORE INTO settings (name, value) SELECT 'doubted ' || number, '' FROM sessions WHERE is_synced = 0")
      try db.execute(
        sql: """
          UPDATE session_copies SET is_doubted = 1
          WHERE synced_revision IS NOT (SELECT content FROM sessions WHERE number = session) + setbacks
          """)
    }
    // Into the database file, so that a log that goes missing is noticed. A full disk may not take it.
    _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.passive) }
  }

  static func uncheckedSessions(_ pool: DatabasePool) throws -> Set<SessionID> {
    try pool.read { db in
      let names = try String.fetchAll(db, sql: "SELECT name FROM settings WHERE name GLOB 'unchecked *'")
      return Set(names.compactMap { Int64($0.dropFirst(10)).map { SessionID(number: $0) } })
    }
  }

  /// SQL: sessions of which the destination may hold other bytes than the journal says, since a power cut; until they are
  /// synced again nothing of them is evicted.
  static let doubted = "(SELECT CAST(SUBSTR(name, 9) AS INTEGER) FROM settings WHERE name GLOB 'doubted *')"

  /// Recordings whose stored chunks have not all been compared with the disk since a power cut.
  public var uncheckedSessions: Set<SessionID> { unchecked.withLock { $0 } }

  /// All that is stored of the recording is on the disk again.
  func setChecked(_ session: SessionID) throws(JournalError) {
    try write { db in
      try db.execute(sql: "DELETE FROM settings WHERE name = ?", arguments: ["unchecked \(session.number)"])
    }
    _ = unchecked.withLock { $0.remove(session) }
  }

  /// Where a recording of which the disk has `size` bytes ended as far as the destination knows: after the stored chunks
  /// that follow the disk's bytes without a gap.
  func storedEnd(of session: SessionID, from size: Int64) throws(JournalError) -> Int64 {
    try read { db in
      var (end, next) = (size, Int(size / Int64(ChunkLayout.chunkBytes)))
      let rows = try Row.fetchCursor(
        db, sql: "SELECT c.idx, c.bytes FROM chunks c WHERE c.session = ? AND c.idx >= ? AND \(isElsewhere) ORDER BY c.idx",
        arguments: [session.number, next])
      while let row = try rows.next() {
        let (index, bytes): (Int, Int) = (row[0], row[1])
        guard index == next else { break }
        end = max(end, Int64(index) * Int64(ChunkLayout.chunkBytes) + Int64(bytes))
        next += 1
        guard end == Int64(next) * Int64(ChunkLayout.chunkBytes) else { break }
      }
      return end
    }
  }

  /// SQL: some destination has the chunk `c`.
  private var isElsewhere: String { isCopied.map { "(c.state >= 2 OR (c.state = 1 AND \($0)))" } ?? "c.state >= 2" }

  /// Chunks of a session that some destination has and whose bytes should be here.
  func storedChunks(of session: SessionID) throws(JournalError) -> ChunkSet {
    try read { db in
      var set = ChunkSet()
      let rows = try Int.fetchCursor(
        db, sql: "SELECT c.idx FROM chunks c WHERE c.session = ? AND c.state < 3 AND \(isElsewhere)",
        arguments: [session.number])
      while let index = try rows.next() { set.insert(index) }
      return set
    }
  }
}

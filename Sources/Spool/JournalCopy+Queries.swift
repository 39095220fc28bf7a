package import UploadCore
package import UploadProtocol
internal import Foundation
internal import GRDB
internal import Synchronization

extension JournalCopy: DestinationJournal {
  /// Those that came later are sent everything: the first destination's listing fills a lost journal.
  package var keepsListings: Bool { false }

  package func record(_ facts: [JournalFact]) throws(JournalError) {
    guard !facts.isEmpty else { return }
    let hooks = journal.hooks.withLock { $0 }
    let again = try journal.write { db in
      let writer = CopyWriter(db: db, now: Journal.wallClock, destination: id, hooks: hooks)
      return try facts.compactMap(writer.apply)
    }
    journal.hasRecorded(facts)
    for chunk in again { journal.onSealedAgain.withLock { $0 }?.tell(chunk) }
  }

  package func session(_ session: SessionID) throws(JournalError) -> SessionRow? {
    try journal.readSingle { try row(session, $0) }
  }

  func row(_ session: SessionID, _ db: Database) throws -> SessionRow? {
    try Row.fetchOne(
      db.cachedStatement(sql: "SELECT \(columns) FROM \(tables) WHERE s.number = ?"), arguments: [session.number]
    ).map(SessionRow.init)
  }

  package func restored(withSealed: Bool) throws(JournalError) -> [(SessionID, RestoredSession)] {
    try journal.read { db in
      let unfinished = """
        SELECT \(columns) FROM \(tables)
        WHERE p.synced_revision IS NOT s.content + p.setbacks OR p.is_announced IS NOT 1 ORDER BY s.number
        """
      return try Row.fetchAll(db, sql: unfinished).map(SessionRow.init).map { row in
        let sealed = withSealed ? try Journal.sealedRanges(row.session, db) : []
        return (row.session, RestoredSession(row, pending: try pendingRanges(row.session, db), sealed: sealed))
      }
    }
  }

  /// Sealed chunks that the destination lacks, whether their bytes are here or not.
  private static let lacking = "c.session = ? AND c.state > 0 AND NOT"

  private func pendingRanges(_ session: SessionID, _ db: Database) throws -> [Range<Int>] {
    let indexes = try Int.fetchCursor(
      db.cachedStatement(sql: "SELECT c.idx FROM chunks c WHERE \(Self.lacking) \(hasChunk) ORDER BY c.idx"),
      arguments: [session.number])
    return try Journal.ranges(indexes)
  }

  package func wholes(_ sessions: [SessionID]) throws(JournalError) -> [(SessionRow, SendableChunk)] {
    try journal.read { db in
      try sessions.compactMap { session in
        guard let chunk = try sendable(ChunkID(session, 0), db), let row = try row(session, db) else { return nil }
        return (row, chunk)
      }
    }
  }

  package func sendable(_ chunk: ChunkID) throws(JournalError) -> SendableChunk? {
    try journal.readSingle { try sendable(chunk, $0) }
  }

  private func sendable(_ chunk: ChunkID, _ db: Database) throws -> SendableChunk? {
    try Row.fetchOne(
      db.cachedStatement(
        sql: "SELECT c.version, c.bytes, c.state FROM chunks c WHERE \(Self.lacking) \(hasChunk) AND c.idx = ?"),
      arguments: [chunk.session.number, chunk.index]
    ).map { row in
      SendableChunk(
        version: ChunkVersion(UInt32(row[0] as Int64)), bytes: row[1], isHere: row[2] != StoredChunkState.evicted.rawValue)
    }
  }

  package func settleKnown(
    _ chunk: ChunkID, _ sendable: SendableChunk, _ digest: ChunkDigest
  ) throws(JournalError) -> (version: ChunkVersion, isStored: Bool)? { (sendable.version, false) }

  package func manifest(of session: SessionID) throws(JournalError) -> RecordingManifest? {
    try journal.read { db in
      guard let row = try row(session, db), row.isFinished else { return nil }
      let chunks = try Row.fetchCursor(
        db.cachedStatement(
          sql: """
            SELECT c.idx, k.digest FROM chunks c LEFT JOIN chunk_copies k
              ON k.session = c.session AND k.idx = c.idx AND k.destination = ?
            WHERE c.session = ? AND c.state > 0 ORDER BY c.idx
            """), arguments: [id, session.number])
      return try RecordingManifest(row, chunks)
    }
  }

  package func sealedIndexes(of session: SessionID, max: Int) throws(JournalError) -> [Int] {
    try journal.read { db in
      try Int.fetchAll(
        db, sql: "SELECT c.idx FROM chunks c WHERE \(Self.lacking) \(hasChunk) ORDER BY c.idx LIMIT ?",
        arguments: [session.number, max])
    }
  }

  /// Stored is what the destination has, wherever else the bytes are.
  package func rows(of session: SessionID, _ indexes: Range<Int>) throws(JournalError) -> [ChunkRow] {
    try journal.read { db in
      let rows = try Row.fetchCursor(
        db.cachedStatement(
          sql: """
            SELECT c.idx, c.version, CASE WHEN c.state = 0 THEN 0 WHEN k.digest IS NULL THEN 1 ELSE 2 END, c.bytes, k.digest
            FROM chunks c LEFT JOIN chunk_copies k ON k.session = c.session AND k.idx = c.idx AND k.destination = ?
            WHERE c.session = ? AND c.idx >= ? AND c.idx < ? ORDER BY c.idx
            """), arguments: [id, session.number, indexes.lowerBound, indexes.upperBound])
      return try ChunkRow.all(rows)
    }
  }

  package func sessions(withRemoteFact name: String) throws(JournalError) -> [SessionID] {
    try journal.read { db in
      try Int64.fetchAll(
        db, sql: "SELECT session FROM remote_copies WHERE name = ? AND destination = ? ORDER BY session",
        arguments: [name, id]
      ).map { SessionID(number: $0) }
    }
  }

  package func remoteFacts(of session: SessionID) throws(JournalError) -> [String: String] {
    try journal.read { db in
      let rows = try Row.fetchAll(
        db.cachedStatement(sql: "SELECT name, value FROM remote_copies WHERE session = ? AND destination = ?"),
        arguments: [session.number, id])
      return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
    }
  }
}

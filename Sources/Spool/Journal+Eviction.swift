public import UploadCore
package import UploadProtocol
internal import Foundation
internal import GRDB

// Which stored chunks may lose their local bytes, and which have.
extension Journal {
  /// Stored chunks whose bytes are still here, those of finished recordings first, the oldest first. Of a recording that
  /// is still open the first chunk and the last stored ones stay: recorders go back to them.
  /// - Parameter storedBefore: seconds since 1970; younger ones stay.
  package func evictable(_ rule: EvictionRule, storedBefore: Double, max: Int) throws(JournalError) -> [ChunkID] {
    try read { db in
      if rule == .synced { return try evictableOfSynced(db, storedBefore, max) }
      return try [
        """
        SELECT c.session, c.idx FROM chunks c JOIN sessions s ON s.number = c.session
        WHERE c.state = 2 AND c.at <= ? AND s.is_finished = 1 AND s.number NOT IN \(Self.doubted)\(isCopiedForGood)
        ORDER BY c.at LIMIT ?
        """,
        """
        SELECT c.session, c.idx FROM chunks c JOIN sessions s ON s.number = c.session
        WHERE c.state = 2 AND c.at <= ? AND s.is_finished = 0 AND c.idx > 0 AND c.idx < s.stored_through - 1
          AND s.number NOT IN \(Self.doubted)\(isCopiedForGood)
        ORDER BY c.at LIMIT ?
        """,
      ].reduce(into: [ChunkID]()) { chunks, sql in
        guard chunks.count < max else { return }
        let rows = try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: [storedBefore, max - chunks.count])
        while let row = try rows.next() { chunks.append(ChunkID(SessionID(number: row[0]), row[1])) }
      }
    }
  }

  private func evictableOfSynced(_ db: Database, _ storedBefore: Double, _ max: Int) throws -> [ChunkID] {
    let statement = try db.cachedStatement(
      sql: """
        SELECT c.session, c.idx FROM chunks c JOIN sessions s ON s.number = c.session
        WHERE c.state = 2 AND c.at <= ? AND s.is_synced = 1\(isCopiedForGood) ORDER BY c.at LIMIT ?
        """)
    return try Row.fetchAll(statement, arguments: [storedBefore, max]).map { ChunkID(SessionID(number: $0[0]), $0[1]) }
  }

  /// Stored chunks of a session whose bytes are here, ascending, from the one after `after` on.
  func storedIndexes(of session: SessionID, after: Int, max: Int) throws(JournalError) -> [Int] {
    try read { db in
      try Int.fetchAll(
        db, sql: "SELECT idx FROM chunks WHERE session = ? AND idx > ? AND state = 2 ORDER BY idx LIMIT ?",
        arguments: [session.number, after, max])
    }
  }

  /// Marks chunks of one session as evicted, durably: after this, and only after this, their bytes may go.
  /// - Returns: those that were still stored.
  package func evict(_ session: SessionID, _ indexes: [Int]) throws(JournalError) -> [Int] {
    let evicted = try write { db in
      let statement = try db.cachedStatement(
        sql: """
          UPDATE chunks AS c SET state = 3 WHERE c.session = ? AND c.idx = ? AND c.state = 2
            AND c.session NOT IN \(Self.doubted)\(isCopiedForGood)
          """)
      return try indexes.filter { index in
        try statement.execute(arguments: [session.number, index])
        return db.changesCount > 0
      }
    }
    do { try makeDurable() } catch {
      // Their bytes stay, and a read must find them here.
      for index in evicted { try? hydrated(ChunkID(session, index)) }
      throw error
    }
    return evicted
  }

  /// The bytes of an evicted chunk are back.
  func hydrated(_ chunk: ChunkID) throws(JournalError) {
    try write { db in
      try db.execute(
        sql: "UPDATE chunks SET state = 2, at = ? WHERE session = ? AND idx = ? AND state = 3",
        arguments: [Self.wallClock, chunk.session.number, chunk.index])
    }
  }

  /// - Parameter marked: what the backing file says; it counts for chunks that the journal has no row for.
  func evictedIndexes(of session: SessionID, marked: ChunkSet) throws(JournalError) -> ChunkSet {
    try read { db in
      var set = marked
      if !marked.isEmpty {
        let known = try Int.fetchCursor(db, sql: "SELECT idx FROM chunks WHERE session = ?", arguments: [session.number])
        while let index = try known.next() { set.remove(index) }
      }
      let rows = try Int.fetchCursor(
        db.cachedStatement(sql: "SELECT idx FROM chunks INDEXED BY chunks_evicted WHERE session = ? AND state = 3"),
        arguments: [session.number])
      while let index = try rows.next() { set.insert(index) }
      return set
    }
  }

  /// What an evicted chunk must be when it comes back; nil when it is not evicted.
  func evictedChunk(_ chunk: ChunkID) throws(JournalError) -> (bytes: Int, digest: ChunkDigest)? {
    try read { db in
      guard
        let row = try Row.fetchOne(
          db, sql: "SELECT bytes, digest FROM chunks WHERE session = ? AND idx = ? AND state = 3",
          arguments: [chunk.session.number, chunk.index]),
        let digest = (row[1] as Data?).flatMap({ ChunkDigest(bytes: $0) })
      else { return nil }
      return (row[0], digest)
    }
  }

  /// Bytes that are stored at every destination and still here: what an eviction can free.
  public func evictableBytes(_ rule: EvictionRule = .stored) throws(JournalError) -> Int64 {
    let sql =
      hasCopies
      ? """
        SELECT COALESCE(SUM(c.bytes), 0) FROM chunks c JOIN sessions s ON s.number = c.session
        WHERE c.state = 2 AND (s.is_synced = 1 OR (\(rule == .stored ? 1 : 0) AND (s.is_finished = 1
          OR (c.idx > 0 AND c.idx < s.stored_through - 1))))\(isCopiedForGood)
        """
      : rule == .stored
      ? """
        SELECT COALESCE((SELECT SUM(bytes) FROM chunks WHERE state = 2), 0)
          - COALESCE((SELECT SUM(c.bytes) FROM sessions s CROSS JOIN chunks c ON c.session = s.number AND c.idx = 0
              WHERE s.is_finished = 0 AND c.state = 2), 0)
          - COALESCE((SELECT SUM(c.bytes) FROM sessions s CROSS JOIN chunks c ON c.session = s.number
              AND c.idx >= MAX(1, s.stored_through - 1) WHERE s.is_finished = 0 AND c.state = 2), 0)
        """
      : """
        SELECT COALESCE(SUM(c.bytes), 0) FROM chunks c JOIN sessions s ON s.number = c.session
        WHERE c.state = 2 AND s.is_synced = 1
        """
    return try read { try Int64.fetchOne($0.cachedStatement(sql: sql)) ?? 0 }
  }
}

public import UploadCore
public import UploadProtocol
internal import GRDB

// The two commits that kernel threads make, before bytes change that the journal vouches for.
extension Journal {
  /// Opens chunks again whose bytes are about to change: whatever is on its way of them no longer counts.
  /// - Returns: the version that each will be sealed as.
  public func reopen(_ session: SessionID, _ indexes: [Int]) throws(JournalError) -> [Int: ChunkVersion] {
    try write { db in
      let writer = FactWriter(db: db, now: Self.wallClock)
      var versions: [Int: ChunkVersion] = [:]
      for index in indexes {
        try writer.takeBack(ChunkID(session, index))
        // A chunk whose sealing has not been recorded yet has no row: it was sealed as the base version.
        let version = try Int64.fetchOne(
          db,
          sql: """
            INSERT INTO chunks (session, idx, version, state, bytes, at, sealed_at)
            VALUES (?1, ?2, 1 + COALESCE((SELECT base_version FROM sessions WHERE number = ?1), 1), 0, 0, ?3, ?3)
            ON CONFLICT (session, idx) DO UPDATE
              SET version = version + 1, state = 0, at = excluded.at, sealed_at = excluded.at
            RETURNING version
            """, arguments: [session.number, index, writer.now])
        versions[index] = ChunkVersion(UInt32(version ?? 1))
      }
      try Self.markChanged(session, db)
      return versions
    }
  }

  /// Forgets every chunk from `count` on, because the recording is about to be shortened.
  /// - Returns: the version that chunks beyond get when they are sealed anew: above all that were ever sent.
  public func drop(_ session: SessionID, from count: Int) throws(JournalError) -> ChunkVersion {
    try write { db in
      // A session so young that the uploader has not recorded it yet; `registered` fills in its name.
      try db.execute(
        sql: "INSERT OR IGNORE INTO sessions (number, path, inode, created_at) VALUES (?, X'', 0, ?)",
        arguments: [session.number, Self.wallClock])
      let highest = try Int64.fetchOne(
        db, sql: "SELECT MAX(version) FROM chunks WHERE session = ? AND idx >= ?", arguments: [session.number, count])
      try db.execute(
        sql: "UPDATE sessions SET base_version = 1 + MAX(base_version, ?) WHERE number = ?",
        arguments: [highest ?? 1, session.number])
      let base = try Int64.fetchOne(
        db, sql: "SELECT base_version FROM sessions WHERE number = ?", arguments: [session.number])
      let version = ChunkVersion(UInt32(base ?? 1))
      try FactWriter(db: db, now: Self.wallClock).drop(session, from: count, below: version)
      try db.execute(
        sql: "INSERT OR REPLACE INTO truncations (session, from_idx, base) VALUES (?, ?, ?)",
        arguments: [session.number, count, Int64(version.number)])
      try Self.markChanged(session, db)
      return version
    }
  }

  private static func markChanged(_ session: SessionID, _ db: Database) throws {
    try db.execute(
      sql: """
        UPDATE sessions SET revision = revision + 1, content = content + 1, is_synced = 0, sha256 = NULL, is_finished = 0,
          is_open = 1
        WHERE number = ?
        """, arguments: [session.number])
  }
}

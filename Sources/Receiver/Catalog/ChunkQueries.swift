import GRDB
import UploadProtocol

/// Statements about chunks, for use inside `Catalog.write` and its readers.
///
/// Indexes of few chunks are named where they matter: SQLite would look through the whole recording instead, for each chunk
/// that arrives.
extension ChunkRecord {
  static func fetch(_ db: Database, session: Int64, index: Int) throws -> ChunkRecord? {
    let statement = try db.cachedStatement(sql: "SELECT * FROM chunk WHERE session = ? AND idx = ?")
    return try Row.fetchOne(statement, arguments: [session, index]).map { try ChunkRecord(row: $0) }
  }

  /// At most `limit` chunks from index `from` on.
  static func fetchPage(_ db: Database, session: Int64, from: Int, limit: Int) throws -> [ChunkRecord] {
    let statement = try db.cachedStatement(
      sql: "SELECT * FROM chunk WHERE session = ? AND idx >= ? ORDER BY idx LIMIT ?")
    return try Row.fetchAll(statement, arguments: [session, from, limit]).map { try ChunkRecord(row: $0) }
  }

  /// The first chunks that lie in parts although they have a place in the growing recording: `index < folded`.
  static func fetchOverlays(_ db: Database, session: Int64, below folded: Int, limit: Int) throws -> [ChunkRecord] {
    let statement = try db.cachedStatement(
      sql: "SELECT * FROM chunk INDEXED BY chunk_in_part WHERE session = ? AND place = 0 AND idx < ? ORDER BY idx LIMIT ?")
    return try Row.fetchAll(statement, arguments: [session, folded, limit]).map { try ChunkRecord(row: $0) }
  }

  static func fetchInParts(_ db: Database, session: Int64) throws -> Set<Int> {
    let statement = try db.cachedStatement(
      sql: "SELECT idx FROM chunk INDEXED BY chunk_in_part WHERE session = ? AND place = 0")
    return Set(try Int.fetchAll(statement, arguments: [session]))
  }

  /// Digests of the first `count` chunks, one after the other; shorter when some are missing.
  static func digests(_ db: Database, session: Int64, count: Int) throws -> [UInt8] {
    var digests: [UInt8] = []
    digests.reserveCapacity(count * ChunkDigest.byteCount)
    let rows = try Row.fetchCursor(
      try db.cachedStatement(sql: "SELECT digest FROM chunk WHERE session = ? AND idx < ? ORDER BY idx"),
      arguments: [session, count])
    while let row = try rows.next() {
      try row.withUnsafeData(named: "digest") { data in if let data { digests.append(contentsOf: data) } }
    }
    return digests
  }

  func save(_ db: Database, session: Int64) throws {
    let statement = try db.cachedStatement(
      sql: """
        INSERT INTO chunk (session, idx, version, bytes, digest, place) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (session, idx) DO UPDATE SET
        version = excluded.version, bytes = excluded.bytes, digest = excluded.digest, place = excluded.place
        """)
    try statement.execute(arguments: [session, index, Int64(version), byteCount, digest.blob, place.rawValue])
  }

  static func delete(_ db: Database, session: Int64, from index: Int) throws {
    try db.execute(sql: "DELETE FROM chunk WHERE session = ? AND idx >= ?", arguments: [session, index])
  }

  static func deleteFolded(_ db: Database, session: Int64, from index: Int) throws {
    try db.execute(
      sql: "DELETE FROM chunk WHERE session = ? AND idx >= ? AND place = 1", arguments: [session, index])
  }

  static func exists(_ db: Database, session: Int64, from index: Int) throws -> Bool {
    let statement = try db.cachedStatement(sql: "SELECT 1 FROM chunk WHERE session = ? AND idx >= ? LIMIT 1")
    return try Row.fetchOne(statement, arguments: [session, index]) != nil
  }

  /// Bytes from the start without a gap: to the end of the first short chunk, else of the last folded one.
  static func contiguousBytes(_ db: Database, session: Int64, folded: Int) throws -> Int64 {
    let short = try Row.fetchOne(
      try db.cachedStatement(
        sql: """
          SELECT idx, bytes FROM chunk INDEXED BY chunk_short WHERE session = ? AND bytes < 1048576 AND idx < ?
          ORDER BY idx LIMIT 1
          """), arguments: [session, folded])
    guard let short else { return Int64(folded) * Int64(ChunkLayout.chunkBytes) }
    return (short["idx"] as Int64) * Int64(ChunkLayout.chunkBytes) + (short["bytes"] as Int64)
  }

  /// Which of the chunks that `digests` names are missing or differ; at most `limit` of them. Stops early then.
  static func differences(
    _ db: Database, session: Int64, size: Int64, digests: [UInt8], limit: Int
  ) throws -> [Int] {
    let count = ChunkLayout.chunkCount(size: size)
    var missing: [Int] = []
    var next = 0
    let rows = try Row.fetchCursor(
      try db.cachedStatement(sql: "SELECT idx, bytes, digest FROM chunk WHERE session = ? AND idx < ? ORDER BY idx"),
      arguments: [session, count])
    while missing.count < limit, let row = try rows.next() {
      let index: Int = row["idx"]
      while next < index && missing.count < limit {
        missing.append(next)
        next += 1
      }
      next = index + 1
      let expected = digests[index * ChunkDigest.byteCount..<(index + 1) * ChunkDigest.byteCount]
      let isSame = try row.withUnsafeData(named: "digest") { data in data.map { expected.elementsEqual($0) } ?? false }
      if !isSame || row["bytes"] != ChunkLayout.byteCount(of: index, size: size) { missing.append(index) }
    }
    while next < count && missing.count < limit {
      missing.append(next)
      next += 1
    }
    return Array(missing.prefix(limit))
  }
}

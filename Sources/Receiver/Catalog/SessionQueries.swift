import Foundation
import GRDB

/// Statements about sessions, for use inside `Catalog.write` and its readers.
extension SessionRecord {
  static func fetch(_ db: Database, id: SessionName) throws -> SessionRecord? {
    try one(db, "WHERE id = ?", [id.description])
  }

  static func fetch(_ db: Database, number: Int64) throws -> SessionRecord? {
    try one(db, "WHERE number = ?", [number])
  }

  static func count(_ db: Database) throws -> Int {
    // Counts no session too few: only tus uploads are ever deleted. Costs nothing.
    try Int.fetchOne(db, sql: "SELECT coalesce(max(number), 0) FROM session") ?? 0
  }

  static func insert(_ db: Database, id: SessionName, now: Int64) throws -> SessionRecord {
    try db.cachedStatement(sql: "INSERT INTO session (id, changed) VALUES (?, ?)")
      .execute(arguments: [id.description, now])
    return SessionRecord(number: db.lastInsertedRowID, id: id, changed: now)
  }

  func update(_ db: Database) throws {
    let statement = try db.cachedStatement(
      sql: """
        UPDATE session SET device = ?, path = ?, writer = ?, metadata = ?, complete = ?, folded = ?, prepared = ?,
        size = ?, chain = ?, whole = ?, link = ?, publish = ?, changed = ?, completed = ? WHERE number = ?
        """)
    try statement.execute(arguments: [
      path.map { $0.device.bytes.blob }, path.map { $0.bytes.blob }, writer, metadata, isComplete, folded, isPrepared,
      size, chain?.blob, whole?.bytes.blob, link?.blob, mustPublish, changed, completed, number,
    ])
  }

  /// Sessions that something may have to be done about at a start: unfinished ones, and interrupted publications.
  static func fetchUnsettled(_ db: Database) throws -> [SessionRecord] {
    try all(db, "WHERE complete = 0 OR publish = 1 ORDER BY number", [])
  }

  /// The session that `/recordings/…` shows for a path: the whole recording last completed there, else the newest
  /// running one.
  static func fetch(_ db: Database, path: RecordingPath) throws -> SessionRecord? {
    try one(
      db, "WHERE device = ? AND path = ? ORDER BY whole IS NULL, completed DESC, number DESC LIMIT 1",
      [path.device.bytes.blob, path.bytes.blob])
  }

  /// Announced sessions in the order of their numbers, after `number`.
  static func fetchPage(_ db: Database, after number: Int64, limit: Int) throws -> [SessionRecord] {
    try all(db, "WHERE number > ? AND path IS NOT NULL ORDER BY number LIMIT ?", [number, limit])
  }

  /// The announced sessions that were begun last, newest first.
  static func fetchNewest(_ db: Database, limit: Int) throws -> [SessionRecord] {
    try all(db, "WHERE path IS NOT NULL ORDER BY number DESC LIMIT ?", [limit])
  }

  static func fetchAll(_ db: Database, after number: Int64, limit: Int) throws -> [SessionRecord] {
    try all(db, "WHERE number > ? ORDER BY number LIMIT ?", [number, limit])
  }

  /// Deletes a session's rows; its folder must be gone.
  static func delete(_ db: Database, number: Int64) throws {
    for table in ["chunk", "tus"] {
      try db.execute(sql: "DELETE FROM \(table) WHERE session = ?", arguments: [number])
    }
    try db.execute(sql: "DELETE FROM session WHERE number = ?", arguments: [number])
  }

  /// Takes a link away from whoever else has it.
  static func takeLink(_ db: Database, _ link: [UInt8], for number: Int64) throws {
    try db.execute(
      sql: "UPDATE session SET link = NULL WHERE link = ? AND number <> ?", arguments: [link.blob, number])
  }

  private static func one(_ db: Database, _ condition: String, _ arguments: StatementArguments) throws -> SessionRecord?
  {
    try Row.fetchOne(try db.cachedStatement(sql: "SELECT * FROM session \(condition)"), arguments: arguments)
      .map { try SessionRecord(row: $0) }
  }

  private static func all(_ db: Database, _ condition: String, _ arguments: StatementArguments) throws
    -> [SessionRecord]
  {
    try Row.fetchAll(try db.cachedStatement(sql: "SELECT * FROM session \(condition)"), arguments: arguments)
      .map { try SessionRecord(row: $0) }
  }
}

extension [UInt8] {
  /// As SQLite stores it.
  var blob: Data { Data(self) }
}

extension Row {
  /// The bytes of a column; nil for NULL.
  func bytes(_ column: String) -> [UInt8]? { (self[column] as Data?).map { Array($0) } }
}

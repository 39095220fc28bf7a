public import UploadCore
public import UploadProtocol
internal import Foundation
internal import GRDB

/// One row of the sessions table, as status and recovery read it.
public struct SessionRow: Sendable {
  public let session: SessionID
  public let path: [UInt8]
  public let inode: UInt64
  public let size: Int64
  public let revision: Int64
  public let isOpen: Bool
  public let isFinished: Bool
  public let isSynced: Bool
  public let isAnnounced: Bool
  public let failure: String?
  public let priority: UploadPriority
  public let isHeld: Bool
  public let storedChunks: Int
  public let storedBytes: Int64
  public let storedThrough: Int
  public let syncedAt: Double?
  public let sha256: [UInt8]?

  static let columns = """
    number, path, inode, size, revision, is_open, is_finished, is_synced, is_announced, failure, priority, is_held,
    stored_chunks, stored_bytes, stored_through, synced_at, sha256
    """

  init(_ row: Row) {
    session = SessionID(number: row[0])
    path = Array(row[1] as Data)
    inode = UInt64(bitPattern: row[2])
    size = row[3]
    revision = row[4]
    isOpen = row[5]
    isFinished = row[6]
    isSynced = row[7]
    isAnnounced = row[8]
    failure = row[9]
    priority = UploadPriority(rawValue: row[10]) ?? .normal
    isHeld = row[11]
    storedChunks = row[12]
    storedBytes = row[13]
    storedThrough = row[14]
    syncedAt = row[15]
    sha256 = (row[16] as Data?).map(Array.init)
  }
}

extension Journal {
  public func session(_ session: SessionID) throws(JournalError) -> SessionRow? {
    try readSingle { try Self.row(session, $0) }
  }

  static func row(_ session: SessionID, _ db: Database) throws -> SessionRow? {
    try Row.fetchOne(
      db.cachedStatement(sql: "SELECT \(SessionRow.columns) FROM sessions WHERE number = ?"), arguments: [session.number]
    ).map(SessionRow.init)
  }

  /// Every session, by number.
  func sessionNumbers() throws(JournalError) -> [Int64] {
    try read { try Int64.fetchAll($0, sql: "SELECT number FROM sessions") }
  }

  /// Sessions whose path is `path` or below it, in path order; all for the empty path. `body` sees one row at a time and
  /// may ask the journal itself. Each page of rows is one snapshot.
  public func eachSession(below path: [UInt8], _ body: (SessionRow) -> Void) throws(JournalError) {
    try eachSession(below: path, copies: []) { row, _ in body(row) }
  }

  /// The same, with what each further destination has of them.
  public func eachSession(
    below path: [UInt8], copies: [JournalCopy], _ body: (SessionRow, [SessionRow]) -> Void
  ) throws(JournalError) {
    var after: SessionRow?
    while true {
      let (rows, others) = try page(of: path, after: after, copies)
      for (place, row) in rows.enumerated() { body(row, others.map { $0[place] }) }
      guard rows.count == Self.pageMax else { return }
      after = rows.last
    }
  }

  /// A session at every destination, as of one moment; the first one's row, then the others'.
  public func session(_ session: SessionID, copies: [JournalCopy]) throws(JournalError) -> (SessionRow, [SessionRow])? {
    if copies.isEmpty { return try self.session(session).map { ($0, []) } }
    return try read { db in
      try Self.row(session, db).map { ($0, try copies.compactMap { copy in try copy.row(session, db) }) }
    }
  }

  /// Rows held in memory at once: some hundred KiB.
  static let pageMax = 1_000

  private func page(
    of path: [UInt8], after last: SessionRow?, _ copies: [JournalCopy]
  ) throws(JournalError) -> ([SessionRow], [[SessionRow]]) {
    try read { db in
      let (isBelow, arguments) = Self.below(path, after: last)
      func rows(_ columns: String, _ tables: String) throws -> [SessionRow] {
        let sql = """
          SELECT \(columns) FROM \(tables) WHERE (path, number) > (?1, ?2) AND \(isBelow)
          ORDER BY path, number LIMIT \(Self.pageMax)
          """
        return try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments).map(SessionRow.init)
      }
      // One snapshot, so the rows of all destinations are those of the same sessions.
      return (try rows(SessionRow.columns, "sessions"), try copies.map { try rows($0.columns, $0.tables) })
    }
  }

  /// SQL: is `path` or below it. - Returns: also the arguments: ?1 and ?2 are where the last page ended, `more` follows ?5.
  static func below(
    _ path: [UInt8], after last: SessionRow?, _ more: String...
  ) -> (isBelow: String, arguments: StatementArguments) {
    // Bytes after "path/" and before "path0": everything below the folder ("0" follows "/").
    let bounds = [path, path + Array("/".utf8), path + Array("0".utf8)]
    var arguments: StatementArguments = [Data(last?.path ?? []), last?.session.number ?? -1]
    arguments += StatementArguments(bounds.map { Data($0) })
    arguments += StatementArguments(more)
    return (path.isEmpty ? "?3 = ?3 AND ?4 = ?4 AND ?5 = ?5" : "(path = ?3 OR (path > ?4 AND path < ?5))", arguments)
  }

  func setting(_ name: String) throws(JournalError) -> String? {
    try read { try String.fetchOne($0, sql: "SELECT value FROM settings WHERE name = ?", arguments: [name]) }
  }

  public var isPausedByUser: Bool { (try? setting("paused")) == "1" }
}

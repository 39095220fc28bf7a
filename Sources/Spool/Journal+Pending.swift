public import UploadCore
public import UploadProtocol
internal import Foundation
internal import GRDB

extension RestoredSession {
  init(_ row: SessionRow, pending: [Range<Int>], sealed: [Range<Int>] = []) {
    self.init(
      facts: SessionFacts(path: row.path, inode: row.inode), pending: pending, sealed: sealed,
      isAnnounced: row.isAnnounced,
      isFinished: row.isFinished, isSynced: row.isSynced, failure: row.failure, priority: row.priority,
      isHeld: row.isHeld, size: row.isFinished ? row.size : nil)
  }
}

/// What may be sent of a chunk right now.
package struct SendableChunk: Sendable {
  package let version: ChunkVersion
  package let bytes: Int
  /// Else its bytes are to be fetched back first.
  package var isHere = true
}

// What is to be sent.
extension Journal {
  /// When the first byte that is not stored was last sealed or opened, in seconds since 1970; nil: none is known.
  public func oldestPending(of session: SessionID) throws(JournalError) -> Double? {
    try readSingle { db in
      try Double.fetchOne(
        // The index is named, or SQLite looks through all that is stored first.
        db.cachedStatement(
          sql: "SELECT at FROM chunks INDEXED BY chunks_pending WHERE session = ? AND state < 2 ORDER BY idx LIMIT 1"),
        arguments: [session.number])
    }
  }

  /// The same for a further destination, which has every chunk before `through`.
  public func oldestPending(of session: SessionID, from through: Int) throws(JournalError) -> Double? {
    try readSingle { db in
      try Double.fetchOne(
        db.cachedStatement(
          sql: """
            SELECT COALESCE(c.sealed_at, s.created_at) FROM chunks c JOIN sessions s ON s.number = c.session
            WHERE c.session = ? AND c.idx >= ? ORDER BY c.idx LIMIT 1
            """), arguments: [session.number, through])
    }
  }

  /// What the scheduler starts with: every session that is not synced, or whose name the destination does not know.
  /// - Parameter withSealed: also which chunks are sealed; costs a look at every row.
  public func restored(withSealed: Bool = false) throws(JournalError) -> [(SessionID, RestoredSession)] {
    try read { db in
      let pending = try Self.pendingRanges(db)
      return try Row.fetchAll(
        db, sql: "SELECT \(SessionRow.columns) FROM sessions WHERE is_synced = 0 OR is_announced = 0 ORDER BY number"
      ).map { row in
        let row = SessionRow(row)
        let sealed = withSealed ? try Self.sealedRanges(row.session, db) : []
        return (row.session, RestoredSession(row, pending: pending[row.session.number] ?? [], sealed: sealed))
      }
    }
  }

  /// Sealed chunks of a session, stored or not.
  func sealedRanges(of session: SessionID) throws(JournalError) -> [Range<Int>] {
    try read { try Self.sealedRanges(session, $0) }
  }

  static func sealedRanges(_ session: SessionID, _ db: Database) throws -> [Range<Int>] {
    try ranges(
      try Int.fetchCursor(
        db.cachedStatement(sql: "SELECT idx FROM chunks WHERE session = ? AND state > 0 ORDER BY idx"),
        arguments: [session.number]))
  }

  /// - Parameter indexes: ascending.
  static func ranges(_ indexes: some Cursor<Int>) throws -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    while let index = try indexes.next() {
      if let last = ranges.last, last.upperBound == index {
        ranges[ranges.count - 1] = last.lowerBound..<index + 1
      } else {
        ranges.append(index..<index + 1)
      }
    }
    return ranges
  }

  /// Chunks that are sealed and not stored, by session. What is neither stored nor open is sealed: two indexes tell both
  /// without a look at the rows, which may be millions.
  private static func pendingRanges(_ db: Database) throws -> [Int64: [Range<Int>]] {
    var pending: [Int64: [Range<Int>]] = [:]
    let unstored = try Row.fetchCursor(
      db, sql: "SELECT session, idx FROM chunks INDEXED BY chunks_pending WHERE state < 2 ORDER BY session, idx")
    let opened = try Row.fetchCursor(
      db, sql: "SELECT session, idx FROM chunks INDEXED BY chunks_open WHERE state = 0 ORDER BY session, idx")
    func place(_ row: Row?) -> (session: Int64, index: Int)? { row.map { ($0[0], $0[1]) } }
    var nextOpen = place(try opened.next())
    var run: (session: Int64, range: Range<Int>)?
    while let (session, index) = place(try unstored.next()) {
      if let open = nextOpen, open == (session, index) {
        nextOpen = place(try opened.next())
        continue
      }
      if let last = run, last.session == session, last.range.upperBound == index {
        run = (session, last.range.lowerBound..<index + 1)
      } else {
        if let last = run { pending[last.session, default: []].append(last.range) }
        run = (session, index..<index + 1)
      }
    }
    if let last = run { pending[last.session, default: []].append(last.range) }
    return pending
  }

  /// nil when the chunk is open, stored or gone: nothing to send.
  package func sendable(_ chunk: ChunkID) throws(JournalError) -> SendableChunk? {
    try readSingle { try Self.sendable(chunk, $0) }
  }

  private static func sendable(_ chunk: ChunkID, _ db: Database) throws -> SendableChunk? {
    try Row.fetchOne(
      db.cachedStatement(sql: "SELECT version, bytes FROM chunks WHERE session = ? AND idx = ? AND state = 1"),
      arguments: [chunk.session.number, chunk.index]
    ).map { SendableChunk(version: ChunkVersion(UInt32($0[0] as Int64)), bytes: $0[1]) }
  }

  package func wholes(_ sessions: [SessionID]) throws(JournalError) -> [(SessionRow, SendableChunk)] {
    try read { db in
      try sessions.compactMap { session in
        guard let chunk = try Self.sendable(ChunkID(session, 0), db), let row = try Self.row(session, db) else { return nil }
        return (row, chunk)
      }
    }
  }

  /// Chunks that are sealed and not stored, ascending.
  package func sealedIndexes(of session: SessionID, max: Int) throws(JournalError) -> [Int] {
    try read { db in
      try Int.fetchAll(
        db, sql: """
          SELECT idx FROM chunks INDEXED BY chunks_pending WHERE session = ? AND state < 2 AND state = 1 ORDER BY idx LIMIT ?
          """, arguments: [session.number, max])
    }
  }
}

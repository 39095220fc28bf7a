public import UploadCore
public import UploadProtocol
internal import Foundation
internal import GRDB
internal import Synchronization

/// What the journal knows of a recording's chunks when the recording is opened.
public struct JournaledChunks: Sendable {
  public var baseVersion = ChunkVersion.first
  /// Sealed or stored.
  public var handedOff = ChunkSet()
  /// Open, with the version that each will be sealed as.
  public var reopened: [Int: ChunkVersion] = [:]
  /// Chunks from `count` on that the journal has, although the recording is too short for them.
  public var hasExcess = false
  /// The journaled bytes of chunk `count - 1`; nil when it has no row.
  public var lastBytes: Int?
  /// Chunks before the last one that were sealed shorter than a whole one: the recording grew, and a power cut took from
  /// the journal what it had been told of that.
  public var short: [Int] = []
}

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

extension RestoredSession {
  init(_ row: SessionRow, pending: [Range<Int>], sealed: [Range<Int>] = []) {
    self.init(
      facts: SessionFacts(path: row.path, inode: row.inode), pending: pending, sealed: sealed,
      isAnnounced: row.isAnnounced,
      isFinished: row.isFinished, isSynced: row.isSynced, failure: row.failure, priority: row.priority,
      isHeld: row.isHeld, size: row.isFinished ? row.size : nil)
  }
}

extension RecordingManifest {
  /// nil unless every chunk of the recording has a digest.
  /// - Parameter chunks: index and digest, ascending.
  init?(_ row: SessionRow, _ chunks: RowCursor) throws {
    var digests: [UInt8] = []
    digests.reserveCapacity(row.storedChunks * ChunkDigest.byteCount)
    var next = 0
    while let chunk = try chunks.next() {
      guard chunk[0] == next, let digest = chunk[1] as Data? else { return nil }
      digests.append(contentsOf: digest)
      next += 1
    }
    guard next == ChunkLayout.chunkCount(size: row.size) else { return nil }
    self.init(
      session: row.session, facts: SessionFacts(path: row.path, inode: row.inode), revision: row.revision, size: row.size,
      digests: digests)
  }
}

/// What may be sent of a chunk right now.
package struct SendableChunk: Sendable {
  package let version: ChunkVersion
  package let bytes: Int
  /// Else its bytes are to be fetched back first.
  package var isHere = true
}

extension Journal {
  /// - Parameter count: chunks that the recording has now.
  public func chunks(of session: SessionID, count: Int) throws(JournalError) -> JournaledChunks {
    try read { db in
      var chunks = JournaledChunks()
      let base = try Int64.fetchOne(
        db, sql: "SELECT base_version FROM sessions WHERE number = ?", arguments: [session.number])
      chunks.baseVersion = ChunkVersion(UInt32(base ?? 1))
      let rows = try Row.fetchCursor(
        db, sql: "SELECT idx, version, state, bytes FROM chunks WHERE session = ?", arguments: [session.number])
      while let row = try rows.next() {
        let index: Int = row[0]
        if index >= count {
          chunks.hasExcess = true
        } else if row[2] == StoredChunkState.open.rawValue {
          chunks.reopened[index] = ChunkVersion(UInt32(row[1] as Int64))
        } else {
          chunks.handedOff.insert(index)
        }
        if index == count - 1 { chunks.lastBytes = row[3] }
        let isHere = row[2] == StoredChunkState.sealed.rawValue || row[2] == StoredChunkState.stored.rawValue
        if index < count - 1, isHere, row[3] != ChunkLayout.chunkBytes { chunks.short.append(index) }
      }
      return chunks
    }
  }

  public func session(_ session: SessionID) throws(JournalError) -> SessionRow? {
    try read { try Self.row(session, $0) }
  }

  private static func row(_ session: SessionID, _ db: Database) throws -> SessionRow? {
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
    try read { db in
      let row = try Row.fetchOne(
        db.cachedStatement(sql: "SELECT \(SessionRow.columns) FROM sessions WHERE number = ?"), arguments: [session.number]
      ).map(SessionRow.init)
      return try row.map { ($0, try copies.compactMap { copy in try copy.row(session, db) }) }
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

  /// When the first byte that is not stored was last sealed or opened, in seconds since 1970; nil: none is known.
  public func oldestPending(of session: SessionID) throws(JournalError) -> Double? {
    try read { db in
      try Double.fetchOne(
        // The index is named, or SQLite looks through all that is stored first.
        db.cachedStatement(
          sql: "SELECT at FROM chunks INDEXED BY chunks_pending WHERE session = ? AND state < 2 ORDER BY idx LIMIT 1"),
        arguments: [session.number])
    }
  }

  /// The same for a further destination, which has every chunk before `through`.
  public func oldestPending(of session: SessionID, from through: Int) throws(JournalError) -> Double? {
    try read { db in
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
    try read { try Self.sendable(chunk, $0) }
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

  /// nil unless every chunk of the recording is stored.
  package func manifest(of session: SessionID) throws(JournalError) -> RecordingManifest? {
    try read { db in
      guard
        let row = try Row.fetchOne(
          db, sql: "SELECT \(SessionRow.columns) FROM sessions WHERE number = ?", arguments: [session.number]
        ).map(SessionRow.init), row.isFinished
      else { return nil }
      let chunks = try Row.fetchCursor(
        db, sql: "SELECT idx, digest FROM chunks WHERE session = ? AND state >= 2 ORDER BY idx",
        arguments: [session.number])
      return try RecordingManifest(row, chunks)
    }
  }

  /// Ignored when the recording has changed since `revision`.
  func setSHA256(_ digest: [UInt8], of session: SessionID, revision: Int64) throws(JournalError) {
    try write { db in
      try db.execute(
        sql: "UPDATE sessions SET sha256 = ? WHERE number = ? AND revision = ? AND is_synced = 1",
        arguments: [Data(digest), session.number, revision])
    }
  }

  /// What a chunk that is still here was stored as, at the first destination that has it.
  func storedDigest(_ chunk: ChunkID) throws(JournalError) -> (bytes: Int, digest: ChunkDigest)? {
    let row = try read { db in
      try Row.fetchOne(
        db.cachedStatement(sql: "SELECT version, bytes FROM chunks WHERE session = ? AND idx = ? AND state IN (1, 2)"),
        arguments: [chunk.session.number, chunk.index]
      ).map { (version: ChunkVersion(UInt32($0[0] as Int64)), bytes: $0[1] as Int) }
    }
    guard let row, let digest = try receipt(of: chunk, row.version) else { return nil }
    return (row.bytes, digest)
  }

  /// Synced recordings whose whole digest has not been computed; at most `max`.
  public func withoutSHA256(max: Int) throws(JournalError) -> [SessionID] {
    try read { db in
      try Int64.fetchAll(
        db, sql: "SELECT number FROM sessions WHERE is_synced = 1 AND sha256 IS NULL LIMIT ?", arguments: [max]
      ).map { SessionID(number: $0) }
    }
  }

  /// Whether every chunk below `count` is stored, at every destination.
  func isStored(_ session: SessionID, chunks count: Int) throws(JournalError) -> Bool {
    try read { db in
      let through = try Int.fetchOne(
        db.cachedStatement(sql: "SELECT stored_through FROM sessions WHERE number = ?"), arguments: [session.number])
      guard let through, through >= count else { return count == 0 }
      let copies = copiesInUse.withLock { $0 }
      return try copies.allSatisfy { copy in
        let through = try Int.fetchOne(
          db.cachedStatement(sql: "SELECT stored_through FROM session_copies WHERE session = ? AND destination = ?"),
          arguments: [session.number, copy.id])
        return (through ?? 0) >= count
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

  func setting(_ name: String) throws(JournalError) -> String? {
    try read { try String.fetchOne($0, sql: "SELECT value FROM settings WHERE name = ?", arguments: [name]) }
  }

  public var isPausedByUser: Bool { (try? setting("paused")) == "1" }
}

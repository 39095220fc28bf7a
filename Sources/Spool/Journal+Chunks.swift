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
}

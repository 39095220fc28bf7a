internal import Foundation
internal import GRDB
package import UploadCore
package import UploadProtocol

/// A chunk's row, as verification compares it.
package struct JournaledChunk: Equatable {
  let index: Int
  let version: UInt32
  let state: StoredChunkState
  let bytes: Int
  let digest: ChunkDigest?

  init(_ row: Row) {
    index = row[0]
    version = UInt32(row[1] as Int64)
    state = StoredChunkState(rawValue: row[2]) ?? .open
    bytes = row[3]
    digest = (row[4] as Data?).flatMap { ChunkDigest(bytes: $0) }
  }
}

// For a program that looks into the journal of a mount that may be running.
extension Journal {
  package func chunkRows(of session: SessionID, _ indexes: Range<Int>) throws(JournalError) -> [JournaledChunk] {
    try read { db in
      try Row.fetchAll(
        db.cachedStatement(
          sql: """
            SELECT idx, version, state, bytes, digest FROM chunks WHERE session = ? AND idx >= ? AND idx < ? ORDER BY idx
            """), arguments: [session.number, indexes.lowerBound, indexes.upperBound]
      ).map(JournaledChunk.init)
    }
  }

  /// The journal as this destination's uploader sees it.
  package func view(of destination: String) throws(JournalError) -> any DestinationJournal {
    guard try setting("first_destination") != destination else { return self }
    let id = try read { db in
      try Int64.fetchOne(db, sql: "SELECT id FROM destinations WHERE name = ?", arguments: [destination])
    }
    return id.map { JournalCopy(journal: self, id: $0, name: destination) } ?? self
  }
}

extension JournalCopy {
  package func chunkRows(of session: SessionID, _ indexes: Range<Int>) throws(JournalError) -> [JournaledChunk] {
    try journal.read { db in
      try Row.fetchAll(
        db.cachedStatement(
          sql: """
            SELECT c.idx, c.version, CASE WHEN k.digest IS NULL THEN MIN(c.state, 1) ELSE MAX(c.state, 2) END, c.bytes, k.digest
            FROM chunks c LEFT JOIN chunk_copies k ON k.session = c.session AND k.idx = c.idx AND k.destination = ?
            WHERE c.session = ? AND c.idx >= ? AND c.idx < ? ORDER BY c.idx
            """), arguments: [id, session.number, indexes.lowerBound, indexes.upperBound]
      ).map(JournaledChunk.init)
    }
  }
}

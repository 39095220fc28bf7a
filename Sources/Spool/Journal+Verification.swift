internal import Foundation
internal import GRDB
internal import UploadCore
internal import UploadProtocol

/// A chunk's row, as verification compares it.
struct JournaledChunk: Equatable {
  let index: Int
  let version: UInt32
  let state: StoredChunkState
  let bytes: Int
  let digest: ChunkDigest?
}

// For a program that looks into the journal of a mount that may be running.
extension Journal {
  /// Rows of the chunks in `indexes`, ascending; those without a row are left out.
  func chunkRows(of session: SessionID, _ indexes: Range<Int>) throws(JournalError) -> [JournaledChunk] {
    try read { db in
      try Row.fetchAll(
        db.cachedStatement(
          sql: """
            SELECT idx, version, state, bytes, digest FROM chunks WHERE session = ? AND idx >= ? AND idx < ? ORDER BY idx
            """), arguments: [session.number, indexes.lowerBound, indexes.upperBound]
      ).map { row in
        JournaledChunk(
          index: row[0], version: UInt32(row[1] as Int64), state: StoredChunkState(rawValue: row[2]) ?? .open,
          bytes: row[3], digest: (row[4] as Data?).flatMap { ChunkDigest(bytes: $0) })
      }
    }
  }
}

internal import Foundation
internal import GRDB
public import UploadCore
public import UploadProtocol

// What requests to destinations of other geometries are made from.
extension Journal {
  /// What the destination told of a session, by name.
  public func remoteFacts(of session: SessionID) throws(JournalError) -> [String: String] {
    try read { db in
      let rows = try Row.fetchAll(
        db.cachedStatement(sql: "SELECT name, value FROM remote_facts WHERE session = ?"), arguments: [session.number])
      return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
    }
  }

  /// The sessions that the destination told this of.
  package func sessions(withRemoteFact name: String) throws(JournalError) -> [SessionID] {
    try read { db in
      try Int64.fetchAll(db, sql: "SELECT session FROM remote_facts WHERE name = ? ORDER BY session", arguments: [name])
        .map { SessionID(number: $0) }
    }
  }

  /// Chunks of a range, ascending.
  package func rows(of session: SessionID, _ indexes: Range<Int>) throws(JournalError) -> [ChunkRow] {
    try read { db in
      let rows = try Row.fetchCursor(
        db.cachedStatement(
          sql: """
            SELECT idx, version, state, bytes, digest FROM chunks WHERE session = ? AND idx >= ? AND idx < ? ORDER BY idx
            """),
        arguments: [session.number, indexes.lowerBound, indexes.upperBound])
      return try ChunkRow.all(rows)
    }
  }
}

extension ChunkRow {
  static func all(_ rows: RowCursor) throws -> [ChunkRow] {
    var chunks: [ChunkRow] = []
    while let row = try rows.next() {
      chunks.append(
        ChunkRow(
          index: row[0], version: ChunkVersion(UInt32(row[1] as Int64)),
          state: ChunkRow.State(rawValue: row[2]) ?? .open, bytes: row[3],
          digest: (row[4] as Data?).flatMap { ChunkDigest(bytes: $0) }))
    }
    return chunks
  }
}

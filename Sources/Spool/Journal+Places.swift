public import UploadCore
public import UploadProtocol
internal import GRDB

/// Where a chunk is, as far as the journal knows. Stored and evicted: every destination has it.
public enum ChunkPlace: Sendable {
  case open, sealed, stored, evicted
}

extension Journal {
  /// Calls `body` for each chunk of a session that the journal has a row of, in one snapshot and in order. The others are
  /// open. A long recording has a million: nothing is kept in memory.
  public func eachChunk(of session: SessionID, _ body: (_ index: Int, _ place: ChunkPlace) -> Void) throws(JournalError) {
    try read { db in
      let rows = try Row.fetchCursor(
        db.cachedStatement(sql: "SELECT c.idx, \(stateEverywhere) FROM chunks c WHERE c.session = ? ORDER BY c.idx"),
        arguments: [session.number])
      while let row = try rows.next() {
        let place: ChunkPlace =
          switch StoredChunkState(rawValue: row[1]) {
          case .sealed: .sealed
          case .stored: .stored
          case .evicted: .evicted
          case .open, nil: .open
          }
        body(row[0], place)
      }
    }
  }
}

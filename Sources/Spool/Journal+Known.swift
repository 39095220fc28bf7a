internal import Foundation
internal import GRDB
package import UploadCore
package import UploadProtocol

// What the destination said it holds of sessions that this journal has no receipts of: a journal that was lost is filled
// from it, without a byte being sent.
extension Journal {
  /// Notes what the destination listed, in one transaction. Chunks whose local bytes were given up become *evicted* at
  /// once, for nobody can read them here; the others wait until they are read for sending, and count then if the bytes
  /// are the same.
  /// - Parameters:
  ///   - evicted: chunks that the backing file says are only at the destination.
  ///   - size: bytes of the recording.
  func learn(_ listed: [ListedChunk], of session: SessionID, evicted: ChunkSet, size: Int64) throws(JournalError) {
    let count = ChunkLayout.chunkCount(size: size)
    try write { db in
      let writer = FactWriter(db: db, now: Self.wallClock)
      for chunk in listed where chunk.index < count {
        if evicted.contains(chunk.index) {
          // A chunk of another length than the hole it would fill is not what was given up.
          guard chunk.bytes == ChunkLayout.byteCount(of: chunk.index, size: size) else { continue }
          try writer.adopt(chunk, evictedOf: session)
        } else {
          try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO known_chunks (session, idx, version, bytes, digest) VALUES (?, ?, ?, ?, ?)"
          ).execute(arguments: [
            session.number, chunk.index, Int64(chunk.version.number), chunk.bytes, Data(chunk.digest.bytes),
          ])
        }
      }
    }
  }

  /// Uses up what is known of a sealed chunk that has just been read as these bytes, and gives it a version that fits: the
  /// destination's own if that has the same bytes, else a later one, so that it is not refused as old.
  /// - Returns: the version to send it as, and whether the destination has it already; nil when it changed meanwhile.
  package func settleKnown(
    _ chunk: ChunkID, _ sendable: SendableChunk, _ digest: ChunkDigest
  ) throws(JournalError) -> (version: ChunkVersion, isStored: Bool)? {
    let key: StatementArguments = [chunk.session.number, chunk.index]
    let known = try readSingle { db in
      try Row.fetchOne(
        db.cachedStatement(sql: "SELECT version, bytes, digest FROM known_chunks WHERE session = ? AND idx = ?"),
        arguments: key
      ).map { (version: UInt32($0[0] as Int64), bytes: $0[1] as Int, digest: Array($0[2] as Data)) }
    }
    guard let known else { return (sendable.version, false) }
    let isStored = known.bytes == sendable.bytes && known.digest == digest.bytes
    let version = max(sendable.version, isStored ? ChunkVersion(known.version) : ChunkVersion(known.version).next)
    return try write { db in
      try db.execute(sql: "DELETE FROM known_chunks WHERE session = ? AND idx = ?", arguments: key)
      try db.execute(
        sql: "UPDATE chunks SET version = ? WHERE session = ? AND idx = ? AND state = 1 AND version = ?",
        arguments: [Int64(version.number)] + key + [Int64(sendable.version.number)])
      return db.changesCount > 0 ? (version, isStored) : nil
    }
  }
}

extension FactWriter {
  /// A chunk of which this journal has no row is at the destination, and only there.
  func adopt(_ chunk: ListedChunk, evictedOf session: SessionID) throws {
    try db.cachedStatement(
      sql: """
        INSERT OR IGNORE INTO chunks (session, idx, version, state, bytes, digest, at) VALUES (?, ?, ?, 3, ?, ?, ?)
        """
    ).execute(arguments: [
      session.number, chunk.index, Int64(chunk.version.number), chunk.bytes, Data(chunk.digest.bytes), now,
    ])
    guard db.changesCount > 0 else { return }
    try count(ChunkID(session, chunk.index))
  }
}

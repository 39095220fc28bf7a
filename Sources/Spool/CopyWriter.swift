internal import Foundation
internal import GRDB
internal import UploadCore
internal import UploadProtocol

/// Writes what a further destination said into the open transaction. Every fact is idempotent.
struct CopyWriter {
  let db: Database
  let now: Double
  let destination: Int64
  /// After which a command is due.
  var hooks: Set<HookEvent> = []

  /// - Returns: chunks that are to be sent as a later version now, to every destination.
  func apply(_ fact: JournalFact) throws -> SealedAgain? {
    switch fact {
    case .stored(let chunk, let version, let digest): try store(chunk, version, digest)
    case .unstored(let chunk): try lose(chunk.session, chunk.index..<chunk.index + 1)
    case .rolledBack(let session, let index): try lose(session, index..<Int.max)
    case .remote(let session, let fact): try remember(fact, of: session)
    case .superseded(let chunk, let current): return try supersede(chunk, current)
    case .announced(let session, let facts):
      try change(session, "is_announced = (SELECT path = ? FROM sessions WHERE number = session)", [Data(facts.path)])
    case .unannounced(let session), .renamed(let session, _): try change(session, "is_announced = 0")
    case .synced(let session, let revision): try sync(session, revision)
    case .failed(let session, let message):
      try change(session, "failure = ?", [message])
      try HookWriter(db: db, events: hooks).remember(.failed, of: session, error: message)
    case .attempted(let attempt): try AttemptWriter(db: db, now: now).write(attempt)
    case .failureCleared(let session): try change(session, "failure = NULL")
    // The first destination's uploader records these.
    case .registered, .opened, .sealed, .dropped, .finished, .held, .prioritized, .removed, .pausedByUser: break
    }
    return nil
  }

  private func run(_ sql: String, _ arguments: StatementArguments) throws {
    try db.cachedStatement(sql: sql).execute(arguments: arguments)
  }

  /// Changes the session's row of this destination; nothing when the session is gone.
  private func change(_ session: SessionID, _ changes: String, _ arguments: StatementArguments = []) throws {
    try begin(session)
    try run(
      "UPDATE session_copies SET \(changes) WHERE session = ? AND destination = ?",
      arguments + [session.number, destination])
  }

  private func begin(_ session: SessionID) throws {
    try run(
      "INSERT OR IGNORE INTO session_copies (session, destination) SELECT number, ? FROM sessions WHERE number = ?",
      [destination, session.number])
  }

  private func store(_ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest) throws {
    try begin(chunk.session)
    try run(
      """
      INSERT INTO chunk_copies (session, idx, destination, bytes, digest) SELECT session, idx, ?, bytes, ? FROM chunks
      WHERE session = ? AND idx = ? AND version = ? AND state > 0
      ON CONFLICT (session, idx, destination) DO UPDATE SET digest = excluded.digest
      """, [destination, Data(digest.bytes), chunk.session.number, chunk.index, Int64(version.number)])
    if db.changesCount > 0 { try advanceStoredThrough(chunk) }
  }

  /// Moves the watermark over this chunk and every stored one that follows it: once per chunk and version.
  private func advanceStoredThrough(_ chunk: ChunkID) throws {
    let place: StatementArguments = [chunk.session.number, destination]
    let through = try Int.fetchOne(
      db.cachedStatement(sql: "SELECT stored_through FROM session_copies WHERE session = ? AND destination = ?"),
      arguments: place)
    guard through == chunk.index else { return }
    var next = chunk.index + 1
    let stored = try Int.fetchCursor(
      db.cachedStatement(
        sql: "SELECT idx FROM chunk_copies WHERE session = ? AND idx > ? AND destination = ? ORDER BY idx"),
      arguments: [chunk.session.number, chunk.index, destination])
    while let index = try stored.next(), index == next { next += 1 }
    try run("UPDATE session_copies SET stored_through = ? WHERE session = ? AND destination = ?", [next] + place)
  }

  /// The destination lacks these chunks, whatever it said before; those whose bytes are not here are fetched back.
  private func lose(_ session: SessionID, _ indexes: Range<Int>) throws {
    try run(
      "DELETE FROM chunk_copies WHERE session = ? AND idx >= ? AND idx < ? AND destination = ?",
      [session.number, indexes.lowerBound, indexes.upperBound, destination])
    try change(session, "setbacks = setbacks + 1")
  }

  private func sync(_ session: SessionID, _ revision: Int64) throws {
    try begin(session)
    try run(
      """
      UPDATE session_copies SET synced_revision = ?1, failure = NULL, synced_at = ?2, is_doubted = 0
      WHERE session = ?3 AND destination = ?4 AND (SELECT content FROM sessions WHERE number = ?3) + setbacks = ?1
      """, [revision, now, session.number, destination])
  }

  private func remember(_ fact: RemoteFact, of session: SessionID) throws {
    try run(
      "DELETE FROM remote_copies WHERE session = ? AND destination = ? AND name = ?",
      [session.number, destination, fact.name])
    guard let value = fact.value else { return }
    try run(
      "INSERT INTO remote_copies (session, destination, name, value) SELECT number, ?, ?, ? FROM sessions WHERE number = ?",
      [destination, fact.name, value, session.number])
  }

  /// The destination has this chunk as `current` with other bytes: for all destinations it becomes a later version, whose
  /// bytes are the same. Rare: it takes a journal that was lost, or an outsider.
  private func supersede(_ chunk: ChunkID, _ current: ChunkVersion) throws -> SealedAgain? {
    let place: StatementArguments = [chunk.session.number, chunk.index]
    let bytes = try Int.fetchOne(
      db, sql: "SELECT bytes FROM chunks WHERE session = ? AND idx = ? AND state IN (1, 2) AND version <= ?",
      arguments: place + [Int64(current.number)])
    guard let bytes else { return nil }
    try FactWriter(db: db, now: now).takeBack(chunk)
    try run("UPDATE chunks SET version = ?, state = 1 WHERE session = ? AND idx = ?", [Int64(current.next.number)] + place)
    try run(
      "UPDATE sessions SET is_synced = 0, revision = revision + 1, content = content + 1 WHERE number = ?",
      [chunk.session.number])
    return SealedAgain(chunk: chunk, version: current.next, bytes: bytes)
  }
}

/// A chunk that every destination is to be sent again, as this version.
struct SealedAgain: Sendable, Equatable {
  let chunk: ChunkID
  let version: ChunkVersion
  let bytes: Int
}

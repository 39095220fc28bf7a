internal import Foundation
internal import GRDB
internal import UploadCore
internal import UploadProtocol

/// Writes one fact into the open transaction. Every fact is idempotent, and one about an older version changes nothing.
struct FactWriter {
  let db: Database
  let now: Double
  /// From a chunk's seal to its receipt.
  var lags: DurationHistogram?
  /// After which a command is due.
  var hooks: Set<HookEvent> = []
  /// With further destinations a recording is synced once all of them have it (`Journal.claimCompletion`).
  var hasCopies = false

  func apply(_ fact: JournalFact) throws {
    switch fact {
    case .registered(let session, let facts): try register(session, facts)
    case .opened(let session):
      try run("UPDATE sessions SET is_open = 1, is_finished = 0 WHERE number = ?", [session.number])
    case .sealed(let chunk, let version, let bytes): try seal(chunk, version, bytes)
    case .stored(let chunk, let version, let digest): try store(chunk, version, digest)
    case .unstored(let chunk): try unstore(chunk)
    case .rolledBack(let session, let index): try rollBack(session, to: index)
    case .remote(let session, let fact): try remember(fact, of: session)
    case .superseded(let chunk, let current):
      try run(
        "UPDATE chunks SET version = ? WHERE session = ? AND idx = ? AND state = 1 AND version <= ?",
        [Int64(current.next.number), chunk.session.number, chunk.index, Int64(current.number)])
      if db.changesCount > 0 { try run("UPDATE sessions SET content = content + 1 WHERE number = ?", [chunk.session.number]) }
    case .dropped(let session, let index, let base):
      try drop(session, from: index, below: base)
      try run("DELETE FROM truncations WHERE session = ? AND base <= ?", [session.number, Int64(base.number)])
    case .renamed(let session, let facts):
      try run(
        "UPDATE sessions SET path = ?, inode = ?, is_announced = 0, revision = revision + 1 WHERE number = ?",
        [Data(facts.path), Int64(bitPattern: facts.inode), session.number])
      try run("UPDATE session_copies SET is_announced = 0 WHERE session = ?", [session.number])
    case .announced(let session, let facts):
      try run(
        "UPDATE sessions SET is_announced = 1 WHERE number = ? AND path = ?", [session.number, Data(facts.path)])
    case .unannounced(let session):
      try run("UPDATE sessions SET is_announced = 0 WHERE number = ?", [session.number])
    case .finished(let session, let size):
      try run(
        "UPDATE sessions SET is_open = 0, is_finished = 1, size = ? WHERE number = ?", [size, session.number])
    case .synced(let session, let revision):
      try run(
        "UPDATE sessions SET is_synced = 1, failure = NULL, synced_at = ? WHERE number = ? AND revision = ?",
        [now, session.number, revision])
      if db.changesCount > 0 {
        try run("DELETE FROM settings WHERE name = ?", ["doubted \(session.number)"])
        try adoptDigest(of: session)
        if !hasCopies { try HookWriter(db: db, events: hooks).remember(.synced, of: session) }
      }
      try run("DELETE FROM known_chunks WHERE session = ?", [session.number])
    case .failed(let session, let message):
      try run("UPDATE sessions SET failure = ? WHERE number = ?", [message, session.number])
      try HookWriter(db: db, events: hooks).remember(.failed, of: session, error: message)
    case .failureCleared(let session):
      try run("UPDATE sessions SET failure = NULL WHERE number = ?", [session.number])
    case .held(let session, let isHeld):
      try run("UPDATE sessions SET is_held = ? WHERE number = ?", [isHeld, session.number])
    case .prioritized(let session, let priority):
      try run("UPDATE sessions SET priority = ? WHERE number = ?", [priority.rawValue, session.number])
    case .removed(let session):
      try run("DELETE FROM known_chunks WHERE session = ?", [session.number])
      try run("DELETE FROM chunks WHERE session = ?", [session.number])
      try run("DELETE FROM remote_facts WHERE session = ?", [session.number])
      try run("DELETE FROM settings WHERE name = ?", ["doubted \(session.number)"])
      try run("DELETE FROM truncations WHERE session = ?", [session.number])
      try run("DELETE FROM sessions WHERE number = ?", [session.number])
      try run("DELETE FROM hooks_due WHERE session = ?", [session.number])
      try AttemptWriter(db: db, now: now).forget(session)
    case .pausedByUser(let isPaused):
      try run("INSERT OR REPLACE INTO settings (name, value) VALUES ('paused', ?)", [isPaused ? "1" : "0"])
    case .attempted(let attempt): try AttemptWriter(db: db, now: now).write(attempt)
    }
  }

  /// The digest of the only chunk is the recording's: small files need not be read again for it.
  private func adoptDigest(of session: SessionID) throws {
    try run(
      """
      UPDATE sessions SET sha256 = (SELECT digest FROM chunks WHERE session = ?1 AND idx = 0)
      WHERE number = ?1 AND size BETWEEN 1 AND \(ChunkLayout.chunkBytes)
      """, [session.number])
  }

  func run(_ sql: String, _ arguments: StatementArguments) throws {
    try db.cachedStatement(sql: sql).execute(arguments: arguments)
  }

  private func register(_ session: SessionID, _ facts: SessionFacts) throws {
    try run(
      """
      INSERT INTO sessions (number, path, inode, created_at, is_open) VALUES (?, ?, ?, ?, 1)
      ON CONFLICT (number) DO UPDATE SET path = excluded.path, inode = excluded.inode
      """, [session.number, Data(facts.path), Int64(bitPattern: facts.inode), now])
  }

  private func seal(_ chunk: ChunkID, _ version: ChunkVersion, _ bytes: Int) throws {
    try run(
      """
      INSERT INTO chunks (session, idx, version, state, bytes, at, sealed_at) SELECT ?1, ?2, ?3, 1, ?4, ?5, ?5
      WHERE NOT EXISTS (SELECT 1 FROM truncations WHERE session = ?1 AND from_idx <= ?2 AND base > ?3)
      ON CONFLICT (session, idx) DO UPDATE SET version = excluded.version, state = 1, bytes = excluded.bytes,
        at = excluded.at, sealed_at = excluded.sealed_at
      WHERE excluded.version > version OR (excluded.version = version AND state = 0)
      """, [chunk.session.number, chunk.index, Int64(version.number), bytes, now])
    guard db.changesCount > 0 else { return }
    try run(
      "UPDATE sessions SET revision = revision + 1, content = content + 1, is_synced = 0, sha256 = NULL WHERE number = ?",
      [chunk.session.number])
  }

  private func store(_ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest) throws {
    let place: StatementArguments = [chunk.session.number, chunk.index]
    let sealedAt = try Double.fetchOne(
      db.cachedStatement(sql: "SELECT at FROM chunks WHERE session = ? AND idx = ? AND state = 1"), arguments: place)
    try run(
      "UPDATE chunks SET state = 2, digest = ?, at = ? WHERE session = ? AND idx = ? AND state = 1 AND version = ?",
      [Data(digest.bytes), now, chunk.session.number, chunk.index, Int64(version.number)])
    guard db.changesCount > 0 else { return }
    if let sealedAt { lags?.add(Span(nanoseconds: Int64(max(0, now - sealedAt) * 1e9))) }
    try count(chunk)
  }

  /// Adds a chunk that has just become stored to the session's sums.
  func count(_ chunk: ChunkID) throws {
    try run(
      """
      UPDATE sessions SET stored_chunks = stored_chunks + 1,
        stored_bytes = stored_bytes + (SELECT bytes FROM chunks WHERE session = ?1 AND idx = ?2) WHERE number = ?1
      """, [chunk.session.number, chunk.index])
    try advanceStoredThrough(chunk)
  }

  /// Moves the watermark over this chunk and every stored one that follows it: once per chunk and version.
  private func advanceStoredThrough(_ chunk: ChunkID) throws {
    let through = try Int.fetchOne(
      db.cachedStatement(sql: "SELECT stored_through FROM sessions WHERE number = ?"),
      arguments: [chunk.session.number])
    guard through == chunk.index else { return }
    let states = try db.cachedStatement(
      sql: "SELECT idx, state FROM chunks WHERE session = ? AND idx > ? ORDER BY idx")
    var next = chunk.index + 1
    let rows = try Row.fetchCursor(states, arguments: [chunk.session.number, chunk.index])
    while let row = try rows.next() {
      guard row[0] == next, row[1] as Int >= StoredChunkState.stored.rawValue else { break }
      next += 1
    }
    try run("UPDATE sessions SET stored_through = ? WHERE number = ?", [next, chunk.session.number])
  }

  /// Deletes chunks from `index` on with a version below `base`, and takes them out of the session's sums.
  func drop(_ session: SessionID, from index: Int, below base: ChunkVersion) throws {
    let arguments: StatementArguments = [session.number, index, Int64(base.number)]
    try run(
      """
      UPDATE sessions SET stored_through = MIN(stored_through, ?2),
        stored_chunks = stored_chunks - (SELECT COUNT(*) FROM chunks
          WHERE session = ?1 AND idx >= ?2 AND version < ?3 AND state >= 2),
        stored_bytes = stored_bytes - (SELECT COALESCE(SUM(bytes), 0) FROM chunks
          WHERE session = ?1 AND idx >= ?2 AND version < ?3 AND state >= 2)
      WHERE number = ?1
        AND EXISTS (SELECT 1 FROM chunks WHERE session = ?1 AND idx >= ?2 AND version < ?3 AND state >= 2)
      """, arguments)
    try run("DELETE FROM chunks WHERE session = ? AND idx >= ? AND version < ?", arguments)
  }

  /// An evicted chunk stays as it is, as in `rollBack`: there are no bytes here to send.
  private func unstore(_ chunk: ChunkID) throws {
    let place: StatementArguments = [chunk.session.number, chunk.index]
    let isHere = try Int.fetchOne(
      db.cachedStatement(sql: "SELECT 1 FROM chunks WHERE session = ? AND idx = ? AND state = 2"), arguments: place)
    if isHere != nil {
      try takeBack(chunk)
      try run("UPDATE chunks SET state = 1, at = ? WHERE session = ? AND idx = ?", [now] + place)
    }
    try run(
      "UPDATE sessions SET is_synced = 0, revision = revision + 1 WHERE number = ?", [chunk.session.number])
  }

  /// Evicted chunks stay as they are: they were given up only because the destination has them in a finished recording.
  private func rollBack(_ session: SessionID, to index: Int) throws {
    try run(
      """
      UPDATE sessions SET is_synced = 0, revision = revision + 1, stored_through = MIN(stored_through, ?2),
        stored_chunks = stored_chunks - (SELECT COUNT(*) FROM chunks WHERE session = ?1 AND idx >= ?2 AND state = 2),
        stored_bytes = stored_bytes
          - (SELECT COALESCE(SUM(bytes), 0) FROM chunks WHERE session = ?1 AND idx >= ?2 AND state = 2)
      WHERE number = ?1
      """, [session.number, index])
    try run(
      "UPDATE chunks SET state = 1, at = ? WHERE session = ? AND idx >= ? AND state = 2", [now, session.number, index])
  }

  private func remember(_ fact: RemoteFact, of session: SessionID) throws {
    guard let value = fact.value else {
      return try run("DELETE FROM remote_facts WHERE session = ? AND name = ?", [session.number, fact.name])
    }
    try run(
      "INSERT OR REPLACE INTO remote_facts (session, name, value) VALUES (?, ?, ?)", [session.number, fact.name, value])
  }

  /// Subtracts a stored chunk from the session's sums, before its state changes. Nothing for one that is not stored.
  func takeBack(_ chunk: ChunkID) throws {
    try run(
      """
      UPDATE sessions SET stored_chunks = stored_chunks - 1, stored_through = MIN(stored_through, ?2),
        stored_bytes = stored_bytes - (SELECT bytes FROM chunks WHERE session = ?1 AND idx = ?2)
      WHERE number = ?1 AND EXISTS (SELECT 1 FROM chunks WHERE session = ?1 AND idx = ?2 AND state >= 2)
      """, [chunk.session.number, chunk.index])
  }
}

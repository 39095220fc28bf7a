internal import GRDB
internal import UploadCore
internal import UploadProtocol

/// Keeps what `reelfs report` is drawn from: sums by the hour, and the last failures of recordings that had any.
///
/// Bounds: 90 days of sums (a row for each hour and ending, some 100 bytes), 8 failures a recording and 4,096 in all, 4,096
/// recordings with failures. Cut back when the first attempt of an hour is written.
struct AttemptWriter {
  let db: Database
  let now: Double

  static let daysMax = 90
  static let failuresOfSessionMax = 8
  static let failuresMax = 4_096
  static let sessionsMax = 4_096
  /// Of a server's words.
  static let messageMax = 500

  func write(_ attempt: UploadAttempt) throws {
    let hour = Int64(now / 3_600)
    let isFirst = try Int.fetchOne(
      db.cachedStatement(sql: "SELECT 1 FROM attempt_hours WHERE hour = ? LIMIT 1"), arguments: [hour]) == nil
    try run(
      """
      INSERT INTO attempt_hours (hour, ending, attempts, retries, chunks, bytes, milliseconds) VALUES (?, ?, 1, ?, ?, ?, ?)
      ON CONFLICT (hour, ending) DO UPDATE SET attempts = attempts + 1, retries = retries + excluded.retries,
        chunks = chunks + excluded.chunks, bytes = bytes + excluded.bytes, milliseconds = milliseconds + excluded.milliseconds
      """,
      [
        hour, attempt.ending.rawValue, attempt.failuresBefore > 0 ? 1 : 0, attempt.chunks, attempt.bytes,
        attempt.duration.nanoseconds / 1_000_000,
      ])
    if attempt.ending.isFailure {
      try fail(attempt)
    } else {
      try run("UPDATE attempt_sessions SET attempts = attempts + 1 WHERE session = ?", [attempt.session.number])
    }
    if isFirst { try prune() }
  }

  private func fail(_ attempt: UploadAttempt) throws {
    // One whose removal was recorded before counts in the sums alone.
    let isKnown = try Int.fetchOne(
      db.cachedStatement(sql: "SELECT 1 FROM sessions WHERE number = ?"), arguments: [attempt.session.number])
    guard isKnown != nil else { return }
    try run(
      """
      INSERT INTO attempt_sessions (session, attempts, failures, in_a_row_max, last_at) VALUES (?1, 1, 1, ?2, ?3)
      ON CONFLICT (session) DO UPDATE SET attempts = attempts + 1, failures = failures + 1,
        in_a_row_max = MAX(in_a_row_max, ?2), last_at = ?3
      """, [attempt.session.number, attempt.failuresBefore + 1, now])
    try run(
      "INSERT INTO attempt_failures (session, at, ending, message) VALUES (?, ?, ?, ?)",
      [attempt.session.number, now, attempt.ending.rawValue, String((attempt.message ?? "").prefix(Self.messageMax))])
    let number = db.lastInsertedRowID
    try run(
      """
      DELETE FROM attempt_failures WHERE session = ?1 AND number <= (SELECT number FROM attempt_failures WHERE session = ?1
        ORDER BY number DESC LIMIT 1 OFFSET \(Self.failuresOfSessionMax))
      """, [attempt.session.number])
    try run("DELETE FROM attempt_failures WHERE number <= ?", [number - Int64(Self.failuresMax)])
  }

  func forget(_ session: SessionID) throws {
    try run("DELETE FROM attempt_sessions WHERE session = ?", [session.number])
    try run("DELETE FROM attempt_failures WHERE session = ?", [session.number])
  }

  private func prune() throws {
    let oldest = now - Double(Self.daysMax) * 86_400
    try run("DELETE FROM attempt_hours WHERE hour < ?", [Int64(oldest / 3_600)])
    try run("DELETE FROM attempt_failures WHERE at < ?", [oldest])
    try run("DELETE FROM attempt_sessions WHERE last_at < ?", [oldest])
    try run(
      """
      DELETE FROM attempt_sessions WHERE session NOT IN
        (SELECT session FROM attempt_sessions ORDER BY last_at DESC LIMIT \(Self.sessionsMax))
      """, [])
  }

  private func run(_ sql: String, _ arguments: StatementArguments) throws {
    try db.cachedStatement(sql: sql).execute(arguments: arguments)
  }
}

internal import Foundation
internal import GRDB
public import UploadCore
public import UploadProtocol

/// Requests of one hour that ended alike.
public struct AttemptHour: Sendable, Equatable {
  /// Since 1970, UTC.
  public let hour: Int64
  public let ending: UploadAttempt.Ending
  public let attempts: Int
  /// Those of them that followed on a failure of their session.
  public let retries: Int
  public let chunks: Int
  /// Stored.
  public let bytes: Int64
  /// All of them together, one after the other.
  public let milliseconds: Int64
}

/// A recording that had failures.
public struct AttemptTrouble: Sendable, Equatable {
  public let session: SessionID
  public let path: [UInt8]
  public let isSynced: Bool
  /// The destination's words, while it is refused.
  public let refusal: String?
  /// Since its first failure.
  public let attempts: Int
  public let failures: Int
  public let inARowMax: Int
  /// Seconds since 1970.
  public let lastAt: Double
  public let lastEnding: UploadAttempt.Ending?
  public let lastMessage: String
}

extension Journal {
  /// By hour and ending, ascending, from the hour of `since` (seconds since 1970) on.
  public func attemptHours(since: Double) throws(JournalError) -> [AttemptHour] {
    try read { db in
      try Row.fetchAll(
        db, sql: "SELECT * FROM attempt_hours WHERE hour >= ? ORDER BY hour, ending", arguments: [Int64(since / 3_600)]
      ).compactMap { row in
        // One that only a newer version knows is left out.
        guard let ending = UploadAttempt.Ending(rawValue: row["ending"]) else { return nil }
        return AttemptHour(
          hour: row["hour"], ending: ending, attempts: row["attempts"], retries: row["retries"], chunks: row["chunks"],
          bytes: row["bytes"], milliseconds: row["milliseconds"])
      }
    }
  }

  /// The recordings with most failures, of those that had one since then.
  public func attemptTroubles(since: Double, max: Int) throws(JournalError) -> [AttemptTrouble] {
    try read { db in
      try Row.fetchAll(
        db,
        sql: """
          SELECT a.*, s.path, s.is_synced, s.failure, f.ending, f.message FROM attempt_sessions a
          JOIN sessions s ON s.number = a.session
          LEFT JOIN attempt_failures f ON f.number = (SELECT MAX(number) FROM attempt_failures WHERE session = a.session)
          WHERE a.last_at >= ? ORDER BY a.failures DESC, a.last_at DESC LIMIT ?
          """, arguments: [since, max]
      ).map { row in
        let path: Data = row["path"]
        let ending: String? = row["ending"]
        return AttemptTrouble(
          session: SessionID(number: row["session"]), path: Array(path), isSynced: row["is_synced"], refusal: row["failure"],
          attempts: row["attempts"], failures: row["failures"], inARowMax: row["in_a_row_max"], lastAt: row["last_at"],
          lastEnding: ending.flatMap(UploadAttempt.Ending.init(rawValue:)), lastMessage: row["message"] ?? "")
      }
    }
  }

  /// Rows of single failures.
  package func attemptFailureCount() throws(JournalError) -> Int {
    try read { db in try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM attempt_failures") ?? 0 }
  }
}

internal import Foundation
internal import GRDB
internal import Synchronization
public import UploadCore
public import UploadProtocol

/// What a command can be run after.
public enum HookEvent: String, Sendable, CaseIterable {
  case synced, failed
}

/// A command that is to be run for a recording.
public struct DueHook: Sendable, Equatable {
  /// Names this event; a later one of the same recording has another.
  public let number: Int64
  public let event: HookEvent
  public let session: SessionID
  public let path: [UInt8]
  public let size: Int64
  /// Why it failed, in the destination's words.
  public let error: String?
}

/// Commands that are due are remembered in the transaction that records what they are about, and forgotten when they have
/// ended: each is run at least once, whatever dies meanwhile. A recording has at most one row for each event; what happens
/// again before its command was run is one run.
extension Journal {
  /// From now on these events are remembered. What is due for others is forgotten.
  public func rememberHooks(_ events: Set<HookEvent>) throws(JournalError) {
    hooks.withLock { $0 = events }
    let names = events.map(\.rawValue)
    try write { db in
      let kept = names.map { _ in "?" }.joined(separator: ", ")
      try db.execute(sql: "DELETE FROM hooks_due WHERE event NOT IN (\(kept))", arguments: StatementArguments(names))
    }
  }

  /// The one that has been due longest. Recordings deleted since have none.
  public func nextHook() throws(JournalError) -> DueHook? {
    try read { db in
      try Row.fetchOne(
        db,
        sql: """
          SELECT h.number, h.event, h.session, h.error, s.path, s.size FROM hooks_due h
          JOIN sessions s ON s.number = h.session ORDER BY h.number LIMIT 1
          """
      ).flatMap { row in
        guard let event = HookEvent(rawValue: row["event"]) else { return nil }
        return DueHook(
          number: row["number"], event: event, session: SessionID(number: row["session"]), path: Array(row["path"] as Data),
          size: row["size"], error: row["error"])
      }
    }
  }

  /// Its command has ended.
  public func hookEnded(_ hook: DueHook) throws(JournalError) {
    try write { try $0.execute(sql: "DELETE FROM hooks_due WHERE number = ?", arguments: [hook.number]) }
  }
}

/// Remembers in the open transaction that a command is due.
struct HookWriter {
  let db: Database
  /// Those that have one.
  let events: Set<HookEvent>

  func remember(_ event: HookEvent, of session: SessionID, error: String? = nil) throws {
    guard events.contains(event) else { return }
    try db.cachedStatement(sql: "INSERT OR REPLACE INTO hooks_due (event, session, error) VALUES (?, ?, ?)")
      .execute(arguments: [event.rawValue, session.number, error])
  }
}

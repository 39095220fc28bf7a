internal import Foundation
internal import GRDB
public import UploadCore

/// Figures of a journal without the names of recordings: for whoever looks for what is wrong from afar.
public struct JournalStatistics: Sendable, Equatable {
  /// In the order in which they are to be shown; each one plain number or word.
  public var figures: [(name: String, value: String)] = []

  public static func == (left: Self, right: Self) -> Bool {
    left.figures.elementsEqual(right.figures) { $0 == $1 }
  }
}

extension Journal {
  /// Counts and sizes as of one moment; also of a journal that a mount uses.
  public func statistics() throws(JournalError) -> JournalStatistics {
    var statistics = JournalStatistics()
    func add(_ name: String, _ value: some CustomStringConvertible) { statistics.figures.append((name, value.description)) }
    for suffix in ["", "-wal", "-shm", ".reserve"] {
      add("journal.sqlite\(suffix)_bytes", Backing.size(of: path + suffix))
    }
    let rows = try read { db in
      try Self.counted.map { (name, sql) in (name, try Int64.fetchOne(db, sql: sql) ?? 0) }
    }
    for (name, value) in rows { add(name, value) }
    for (name, row) in try read({ db in
      try Row.fetchAll(db, sql: "SELECT state, count(*) AS count, total(bytes) AS bytes FROM chunks GROUP BY state").map {
        (StoredChunkState(rawValue: $0["state"]).map { "\($0)" } ?? "unknown", ($0["count"] as Int64, $0["bytes"] as Double))
      }
    }) {
      add("chunks_\(name)", row.0)
      add("chunks_\(name)_bytes", Int64(row.1))
    }
    let migrations = try read { try Schema.migrator.appliedIdentifiers($0).sorted() }
    add("migrations", migrations.joined(separator: "; "))
    return statistics
  }

  private static let counted = [
    ("sessions", "SELECT count(*) FROM sessions"),
    ("sessions_synced", "SELECT count(*) FROM sessions WHERE is_synced"),
    ("sessions_open", "SELECT count(*) FROM sessions WHERE is_open"),
    ("sessions_failed", "SELECT count(*) FROM sessions WHERE failure IS NOT NULL"),
    ("sessions_held", "SELECT count(*) FROM sessions WHERE is_held"),
    ("sessions_unannounced", "SELECT count(*) FROM sessions WHERE NOT is_announced"),
    ("largest_recording_bytes", "SELECT max(size) FROM sessions"),
    ("largest_revision", "SELECT max(revision) FROM sessions"),
    ("largest_version", "SELECT max(version) FROM chunks"),
    ("oldest_pending_at", "SELECT min(at) FROM chunks WHERE state < 2"),
    ("remote_facts", "SELECT count(*) FROM remote_facts"),
    ("pages", "SELECT * FROM pragma_page_count"),
    ("free_pages", "SELECT * FROM pragma_freelist_count"),
  ]

  /// Has SQLite look through the whole journal, also while a mount uses it. Takes a second for a million chunks.
  /// - Returns: what is wrong with it, in SQLite's words; nil when nothing is.
  public static func damage(of path: String) -> String? {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(5)
    do {
      let queue = try DatabaseQueue(path: path, configuration: configuration)
      let words = try queue.read { try String.fetchAll($0, sql: "PRAGMA quick_check(3)") }
      return words == ["ok"] ? nil : words.joined(separator: "; ")
    } catch {
      return "\(error)"
    }
  }
}

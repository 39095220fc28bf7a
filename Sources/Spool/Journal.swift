public import UploadCore
internal import UploadProtocol
internal import Foundation
internal import Glibc
internal import GRDB
internal import Synchronization

/// What must survive a crash: sessions and chunks in SQLite (WAL).
///
/// The uploader thread records facts; kernel threads call only `reopen` and `truncate`, once per rewrite. Both go through
/// GRDB's one writer queue. Readers never wait for writers.
public final class Journal: Sendable {
  let pool: DatabasePool
  let path: String
  /// Signalled whenever chunks have been recorded as stored.
  let progress = Progress()
  /// Called on the uploader thread for each `finished` that has been recorded.
  let onFinished = Mutex<(@Sendable (SessionID) -> Void)?>(nil)

  /// The machine was switched off, or crashed, while the journal was in use.
  public let followsPowerCut: Bool

  /// Opens or creates the journal. WAL with `synchronous = NORMAL`: a commit survives the death of the process;
  /// `makeDurable` makes all earlier commits survive a power cut.
  public init(path: String) throws(JournalError) {
    self.path = path
    var configuration = Configuration()
    configuration.maximumReaderCount = 4
    configuration.busyMode = .timeout(5)
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1024")
    }
    do {
      let pool = try DatabasePool(path: path, configuration: configuration)
      if try pool.read({ try Schema.migrator.hasBeenSuperseded($0) }) {
        throw JournalError("it was written by a newer reelfs")
      }
      try Schema.migrator.migrate(pool)
      followsPowerCut = try Self.beginUse(pool)
      self.pool = pool
    } catch let error as JournalError {
      throw error
    } catch {
      throw JournalError("\(error)")
    }
  }

  /// Opens the journal; one that cannot be used (damaged, or of a newer version) is set aside and a new one begun, which
  /// recovery fills from the spool.
  /// - Returns: the journal, and a sentence about what was set aside.
  public static func openOrBegin(path: String) throws(JournalError) -> (Journal, notice: String?) {
    do {
      return (try Journal(path: path), nil)
    } catch {
      let aside = path + ".set-aside-" + String(Int(wallClock))
      for suffix in ["", "-wal", "-shm"] { rename(path + suffix, aside + suffix) }
      let journal = try Journal(path: path)
      return (journal, "the journal could not be used (\(error.message)); it lies in \(aside), and a new one was begun")
    }
  }

  /// Notes which boot of the machine uses the journal. After a power cut its pages are checked first.
  /// - Returns: whether there was one.
  private static func beginUse(_ pool: DatabasePool) throws -> Bool {
    let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
    return try pool.write { db in
      // Seals that were on their way died with the last process.
      try db.execute(sql: "DELETE FROM truncations")
      let last = try String.fetchOne(db, sql: "SELECT value FROM settings WHERE name = 'in_use_by_boot'")
      try db.execute(
        sql: "INSERT OR REPLACE INTO settings (name, value) VALUES ('in_use_by_boot', ?)", arguments: [boot])
      guard let last, last != boot else { return false }
      let verdict = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
      if verdict != "ok" { throw JournalError("it is damaged: \(verdict ?? "no answer to quick_check")") }
      return true
    }
  }

  /// Runs one write transaction and translates GRDB's errors.
  func write<T>(_ body: (Database) throws -> T) throws(JournalError) -> T {
    do { return try pool.write(body) } catch { throw JournalError("\(error)") }
  }

  func read<T>(_ body: (Database) throws -> T) throws(JournalError) -> T {
    do { return try pool.read(body) } catch { throw JournalError("\(error)") }
  }

  /// Copies the WAL into the database when it has grown past 4,096 pages (16 MiB). Called on the uploader thread between
  /// turns, so that no kernel thread ever pays for a checkpoint.
  public func checkpointIfLarge() {
    let walBytes = (try? FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int) ?? 0
    guard walBytes > 16 << 20 else { return }
    _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.passive) }
  }

  /// Everything in one file, for a clean end.
  public func close() {
    _ = try? pool.write { try $0.execute(sql: "DELETE FROM settings WHERE name = 'in_use_by_boot'") }
    _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
    try? pool.close()
  }

  static var wallClock: Double { Date().timeIntervalSince1970 }
}

extension Journal: UploadJournal {
  public func record(_ facts: [JournalFact]) throws(JournalError) {
    guard !facts.isEmpty else { return }
    let now = Self.wallClock
    try write { db in
      for fact in facts { try FactWriter(db: db, now: now).apply(fact) }
    }
    if facts.contains(where: { if case .stored = $0 { true } else { false } }) { progress.signal() }
    guard let onFinished = onFinished.withLock({ $0 }) else { return }
    for case .finished(let session, _) in facts { onFinished(session) }
  }
}

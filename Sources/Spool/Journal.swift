public import UploadCore
internal import UploadProtocol
internal import Foundation
internal import GRDB
internal import Synchronization

/// What must survive a crash: sessions and chunks in SQLite (WAL).
///
/// The uploader thread records facts; kernel threads call only `reopen` and `truncate`, once per rewrite. Both go through
/// GRDB's one writer queue. Readers never wait for writers.
public final class Journal: Sendable {
  let pool: DatabasePool
  let path: String
  /// Called on the uploader thread for each `finished` that has been recorded.
  let onFinished = Mutex<(@Sendable (SessionID) -> Void)?>(nil)

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
      try Schema.migrator.migrate(pool)
      if try pool.read({ try Schema.migrator.hasBeenSuperseded($0) }) {
        throw JournalError("\(path) was written by a newer reelfs")
      }
      self.pool = pool
    } catch {
      throw JournalError("cannot open \(path): \(error)")
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
    guard let onFinished = onFinished.withLock({ $0 }) else { return }
    for case .finished(let session, _) in facts { onFinished(session) }
  }
}

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
  /// A connection for single statements: they need no transaction, and the pool's cost several times as much as the statement.
  private let single: DatabaseQueue
  let path: String
  /// Signalled whenever chunks have been recorded as stored.
  let progress = Progress()
  /// Called on the uploader thread with facts of the first destination's uploader that have been recorded.
  let onRecorded = Mutex<Listener<[JournalFact]>?>(nil)
  /// Called on a further destination's thread for each chunk that all destinations are to be sent again.
  let onSealedAgain = Mutex<Listener<SealedAgain>?>(nil)
  /// Further destinations in use (`useCopies`).
  let copiesInUse = Mutex<[CopyInUse]>([])

  let reserve: JournalReserve
  let log = Mutex(Log())
  /// From the seal of each chunk to its receipt, since this journal was opened.
  public let lags = DurationHistogram.ofUploads()
  /// After which a command is to be run.
  let hooks = Mutex<Set<HookEvent>>([])
  /// Stored chunks have been recorded since the log was last synced.
  let hasNewReceipts = Atomic(false)
  let unchecked: Mutex<Set<SessionID>>

  /// Opens or creates the journal. WAL with `synchronous = NORMAL`: a commit survives the death of the process;
  /// `makeDurable` makes all earlier commits survive a power cut.
  public init(path: String) throws(JournalError) {
    self.path = path
    reserve = JournalReserve(journal: path)
    reserve.makeRoomToBegin()
    // SQLite makes it when it opens the journal, also for whoever only reads: an empty one says nothing.
    let logWasThere = Backing.size(of: path + "-wal") > 0
    var configuration = Configuration()
    // Each keeps a mebibyte of pages. Most reads are `readSingle`; a page of status waits for two others at worst.
    configuration.maximumReaderCount = 3
    configuration.busyMode = Self.patience
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1024")
      // A log that grew while somebody read is cut when it begins anew; else every turn would find it large for ever.
      try db.execute(sql: "PRAGMA journal_size_limit = \(Self.logBytesMax)")
    }
    do {
      let pool = try DatabasePool(path: path, configuration: configuration)
      if try pool.read({ try Schema.migrator.hasBeenSuperseded($0) }) {
        throw JournalError("it was written by a newer reelfs")
      }
      try Schema.migrator.migrate(pool)
      try Self.beginUse(pool, path: path, logWasThere: logWasThere)
      unchecked = Mutex(try Self.uncheckedSessions(pool))
      single = try Self.openSingle(path)
      self.pool = pool
    } catch {
      throw Self.translated(error)
    }
    reserve.make()
  }

  /// Opens a journal that is there to read it, also while a mount uses it; changes nothing.
  public init(reading path: String) throws(JournalError) {
    self.path = path
    reserve = JournalReserve(journal: path)
    unchecked = Mutex([])
    var configuration = Configuration()
    configuration.readonly = true
    configuration.maximumReaderCount = 1
    configuration.busyMode = Self.patience
    do {
      pool = try DatabasePool(path: path, configuration: configuration)
      single = try Self.openSingle(path)
      let (isNewer, isComplete) = try pool.read {
        (try Schema.migrator.hasBeenSuperseded($0), try Schema.migrator.hasCompletedMigrations($0))
      }
      if isNewer { throw JournalError("it was written by a newer reelfs") }
      if !isComplete { throw JournalError("it was written by an older reelfs: mount it once with this one") }
    } catch {
      throw Self.translated(error)
    }
  }

  deinit { log.withLock { if $0.descriptor >= 0 { Glibc.close($0.descriptor) } } }

  /// Opens the journal; one that cannot be used (damaged, or of a newer version) is set aside and a new one begun, which
  /// recovery fills from the spool. One that only cannot be had now, because its disk is full or failing, stays.
  /// - Returns: the journal, and a sentence about what was set aside.
  public static func openOrBegin(path: String) throws(JournalError) -> (Journal, notice: String?) {
    do {
      return (try Journal(path: path), nil)
    } catch {
      if error.kind == .full {
        // The reserve is for this as well.
        if JournalReserve(journal: path).giveUp() { return (try Journal(path: path), nil) }
        throw JournalError("there is no space left for the journal \(path); free some and mount again", .full)
      }
      if error.kind == .disk { throw error }
      let aside = path + ".set-aside-" + String(Int(wallClock))
      for suffix in ["", "-wal", "-shm"] { rename(path + suffix, aside + suffix) }
      let journal = try Journal(path: path)
      return (journal, "the journal could not be used (\(error.message)); it lies in \(aside), and a new one was begun")
    }
  }

  /// Runs one write transaction and translates GRDB's errors. On a full disk it is tried again with what can be made free.
  func write<T>(_ body: (Database) throws -> T) throws(JournalError) -> T {
    var attempt = 0
    while true {
      do { return try pool.write(body) } catch {
        let failure = Self.translated(error)
        attempt += 1
        guard failure.kind == .full, makeSpace(attempt: attempt) else { throw failure }
      }
    }
  }

  /// One snapshot for all of `body`.
  func read<T>(_ body: (Database) throws -> T) throws(JournalError) -> T {
    do { return try pool.read(body) } catch { throw Self.translated(error) }
  }

  /// For one quick statement, or several that need not be of the same moment. Not within another one.
  func readSingle<T>(_ body: (Database) throws -> T) throws(JournalError) -> T {
    do { return try single.unsafeRead(body) } catch { throw Self.translated(error) }
  }

  /// For whoever else, another process too, holds the journal.
  private static let patience = Database.BusyMode.timeout(5)

  private static func openSingle(_ path: String) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = patience
    // Its statements look up one row: the inner pages of the indexes are what counts.
    configuration.prepareDatabase { try $0.execute(sql: "PRAGMA cache_size = -256") }
    return try DatabaseQueue(path: path, configuration: configuration)
  }

  private static let logBytesMax = 16 << 20

  /// Copies the WAL into the database when it has grown past 4,096 pages (16 MiB). Called on the uploader thread between
  /// turns, so that no kernel thread ever pays for a checkpoint.
  public func checkpointIfLarge() {
    guard Backing.size(of: path + "-wal") > Self.logBytesMax else { return }
    _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.passive) }
  }

  /// Everything in one file, for a clean end.
  /// - Parameter isSynced: the recordings are on the disk; otherwise the next start looks what a power cut took.
  public func close(isSynced: Bool = true) {
    let sql =
      isSynced
      ? "DELETE FROM settings WHERE name = 'in_use_by_boot'"
      : "UPDATE settings SET value = '\(Self.notSynced)' WHERE name = 'in_use_by_boot'"
    guard (try? write({ try $0.execute(sql: sql) })) != nil else {
      // Closed, it would lose its log, and the next start would miss that. Kept for ever, it is left as by a killed process.
      _ = Unmanaged.passRetained(pool)
      return
    }
    _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
    // First: the last connection takes the log away, and this one may not.
    try? single.close()
    try? pool.close()
  }

  static var wallClock: Double { Date().timeIntervalSince1970 }
}

/// Whoever wants to be told. A closure that is read out of a `Mutex` by itself is wrapped, and the wrapping written back, with
/// each reading: calls would become slower and deeper for ever. Within a value of its own it stays what it is.
struct Listener<News>: Sendable {
  let tell: @Sendable (News) -> Void
}

extension Journal: UploadJournal {
  public func record(_ facts: [JournalFact]) throws(JournalError) { try record(facts, at: Self.wallClock) }

  /// - Parameter now: seconds since 1970.
  package func record(_ facts: [JournalFact], at now: Double) throws(JournalError) {
    guard !facts.isEmpty else { return }
    let events = hooks.withLock { $0 }
    let areSeveral = hasCopies
    try write { db in
      for fact in facts { try FactWriter(db: db, now: now, lags: lags, hooks: events, hasCopies: areSeveral).apply(fact) }
    }
    hasRecorded(facts)
    onRecorded.withLock { $0 }?.tell(facts)
  }

  /// Wakes whoever waits for receipts, and has them made safe.
  func hasRecorded(_ facts: [JournalFact]) {
    guard facts.contains(where: { if case .stored = $0 { true } else { false } }) else { return }
    hasNewReceipts.store(true, ordering: .relaxed)
    progress.signal()
  }
}

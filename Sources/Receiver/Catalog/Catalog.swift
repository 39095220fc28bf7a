import GRDB

/// What the receiver has: sessions and chunks, in SQLite. A commit is durable when it returns.
///
/// The vault's writer thread writes; any thread reads a snapshot, without waiting for the writer.
final class Catalog: Sendable {
  let pool: DatabasePool

  /// Opens or creates the catalog at `path`.
  /// - Throws: when the file is damaged or from a newer receiver; nothing was changed then.
  init(path: String) throws(CatalogError) {
    do {
      var configuration = Configuration()
      // The listing, the report of a session and a download's look-up at once; more would only wait for the disk.
      configuration.maximumReaderCount = 4
      configuration.prepareDatabase { db in
        try db.execute(sql: "PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY")
      }
      pool = try DatabasePool(path: path, configuration: configuration)
      // A receipt must survive a power cut, not only a crash. Here, because GRDB sets NORMAL when the pool is opened, after the
      // configuration has prepared the connection.
      try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
      let migrator = CatalogSchema.migrator
      let state = try pool.read { db in
        (isNewer: try migrator.hasBeenSuperseded(db), check: try String.fetchOne(db, sql: "PRAGMA quick_check(1)"))
      }
      if state.isNewer { throw CatalogError("the catalog was written by a newer receiver") }
      if let check = state.check, check != "ok" { throw CatalogError("the catalog is damaged: \(check)", .damage) }
      try migrator.migrate(pool)
    } catch { throw CatalogError(error) }
  }

  /// All changes of `body` in one durable transaction, or none.
  func write<Result>(_ body: (Database) throws -> Result) throws(CatalogError) -> Result {
    do {
      return try pool.writeWithoutTransaction { db in
        var result: Result?
        try db.inTransaction(.immediate) {
          result = try body(db)
          return .commit
        }
        guard let result else { throw CatalogError("the transaction gave no result") }
        return result
      }
    } catch { throw CatalogError(error) }
  }

  /// Reads what is committed; on any thread but the cooperative pool's (it blocks).
  func read<Result>(_ body: (Database) throws -> Result) throws(CatalogError) -> Result {
    do { return try pool.read(body) } catch { throw CatalogError(error) }
  }

  /// The same on the writer's connection, for one quick statement on the vault's thread: costs a fraction of a transaction of
  /// the pool's, and waits for nobody, because that thread is the one that writes.
  func readSingle<Result>(_ body: (Database) throws -> Result) throws(CatalogError) -> Result {
    do { return try pool.writeWithoutTransaction(body) } catch { throw CatalogError(error) }
  }

  /// Reads what is committed, on one of the pool's own threads.
  func snapshot<Result: Sendable>(_ body: @escaping @Sendable (Database) throws -> Result) async throws(CatalogError)
    -> Result
  {
    do { return try await pool.read(body) } catch { throw CatalogError(error) }
  }

  /// Moves everything from the write-ahead log into the file, and closes it.
  func close() throws(CatalogError) {
    do {
      try pool.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
      try pool.close()
    } catch { throw CatalogError(error) }
  }
}

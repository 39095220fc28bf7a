public import UploadCore
public import UploadProtocol
internal import Foundation
internal import GRDB

/// Sum of recordings that are finished, and that the destination has whole.
public struct SettledSum: Sendable, Equatable {
  public var recordings = 0
  public var bytes: Int64 = 0
  public var chunks = 0
  public var lastSyncedAt: Double?
  public var isHeld = false

  public init() {}
}

extension Journal {
  /// SQL: nothing of the session is open, and its row says all that there is to say of it while nobody has it loaded.
  private static let isSettled = "(is_synced = 1 AND is_announced = 1 AND is_finished = 1 AND failure IS NULL)"

  /// Sums up whoever is settled below `path` (all for the empty path) without a look at each in here, and hands `body` the
  /// others, in path order, as `eachSession` does: a hundred thousand finished recordings cost some ten milliseconds.
  /// Of one destination.
  /// - Parameter loaded: sessions that `body` sees in any case, because memory may know more of them.
  public func eachUnsettled(
    below path: [UInt8], loaded: [SessionID], _ body: (SessionRow) -> Void
  ) throws(JournalError) -> SettledSum {
    let known = "[" + loaded.map { String($0.number) }.joined(separator: ",") + "]"
    let isSummed = "\(Self.isSettled) AND number NOT IN (SELECT value FROM json_each(?6))"
    var after: SessionRow?
    var sum = SettledSum()
    while true {
      let rows = try read { db in
        let (isBelow, arguments) = Self.below(path, after: after, known)
        // As of the same moment as the first page: nobody is missing, or there twice.
        if after == nil { sum = try Self.settled(db, "\(isBelow) AND \(isSummed)", arguments) }
        return try Row.fetchAll(
          db.cachedStatement(
            sql: """
              SELECT \(SessionRow.columns) FROM sessions WHERE (path, number) > (?1, ?2) AND \(isBelow) AND NOT (\(isSummed))
              ORDER BY path, number LIMIT \(Self.pageMax)
              """), arguments: arguments
        ).map(SessionRow.init)
      }
      for row in rows { body(row) }
      guard rows.count == Self.pageMax else { return sum }
      after = rows.last
    }
  }

  /// Sizes are added up in two halves: sparse recordings can claim more than an SQL sum can hold, which would be an error.
  private static func settled(_ db: Database, _ condition: String, _ arguments: StatementArguments) throws -> SettledSum {
    let row = try Row.fetchOne(
      db.cachedStatement(
        sql: """
          SELECT COUNT(*), COALESCE(SUM(size >> 20), 0), COALESCE(SUM(size & 0xFFFFF), 0),
            COALESCE(SUM((size - 1) / \(ChunkLayout.chunkBytes) + (size > 0)), 0), MAX(synced_at),
            COALESCE(MAX(is_held), 0)
          FROM sessions WHERE (path, number) > (?1, ?2) AND \(condition)
          """), arguments: arguments)!
    var sum = SettledSum()
    sum.recordings = row[0]
    let (mebibytes, rest): (Int64, Int64) = (row[1], row[2])
    let (bytes, overflow) = mebibytes.multipliedReportingOverflow(by: 1 << 20)
    sum.bytes = overflow ? .max : min(bytes, .max - rest) + rest
    sum.chunks = row[3]
    sum.lastSyncedAt = row[4]
    sum.isHeld = row[5]
    return sum
  }
}

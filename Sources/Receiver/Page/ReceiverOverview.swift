import Foundation
import GRDB
import PageServing

/// What the receiver's page and its metrics show: how much there is, and the newest recordings.
struct ReceiverOverview: Sendable {
  let catalog: Catalog

  /// Recordings on the page; older ones are in the listing, /recordings/.
  static let recordingsMax = 1_000

  struct Totals: Encodable, Sendable {
    var recordings = 0
    var complete = 0
    /// Of complete recordings.
    var bytes: Int64 = 0
    let schemaVersion = 1
    /// Of those shown.
    var shown = 0
  }

  private struct Item: Encodable {
    let sessionId: String
    let device: String
    let path: String
    /// `receiving`, `complete`, or `replaced` by a newer recording of the same name.
    let state: String
    let size: Int64
    /// What an upload has announced; nil when nobody knows yet.
    let length: Int64?
    let location: String
    let changedAt: String
  }

  func totals() async throws(CatalogError) -> Totals { try await catalog.snapshot { try Self.totals($0) } }

  func snapshot() async throws(CatalogError) -> PageSnapshot {
    try await catalog.snapshot { db in
      let records = try SessionRecord.fetchNewest(db, limit: Self.recordingsMax)
      var totals = try Self.totals(db)
      totals.shown = records.count
      var items: [String: [UInt8]] = [:]
      for record in records { items[record.id.description] = try Self.item(db, record) }
      let now = Int64(Date().timeIntervalSince1970 * 1000)
      return PageSnapshot(time: Timestamp.text(milliseconds: now), head: JSON.encode(totals), items: items)
    }
  }

  private static func item(_ db: Database, _ record: SessionRecord) throws -> [UInt8]? {
    guard let path = record.path else { return nil }
    let isReplaced = record.isComplete && record.link == nil && !record.mustPublish
    return JSON.encode(
      Item(
        sessionId: record.id.description, device: path.device.description,
        path: String(decoding: path.bytes, as: UTF8.self),
        state: !record.isComplete ? "receiving" : isReplaced ? "replaced" : "complete",
        size: record.whole != nil && record.isComplete
          ? record.size : try ChunkRecord.contiguousBytes(db, session: record.number, folded: record.folded),
        length: record.isComplete
          ? nil : try Int64.fetchOne(db, sql: "SELECT length FROM tus WHERE session = ?", arguments: [record.number]),
        location: path.location, changedAt: Timestamp.text(milliseconds: record.changed)))
  }

  private static func totals(_ db: Database) throws -> Totals {
    var totals = Totals()
    let rows = try Row.fetchCursor(
      db, sql: "SELECT complete, count(*), coalesce(sum(size), 0) FROM session WHERE path IS NOT NULL GROUP BY complete")
    while let row = try rows.next() {
      let count: Int = row[1]
      totals.recordings += count
      if row[0] as Int == 1 { (totals.complete, totals.bytes) = (count, row[2]) }
    }
    return totals
  }
}

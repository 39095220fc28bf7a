internal import GRDB

extension Journal {
  /// A rate limit that somebody set by hand. It holds until the mount ends, so its next worker has to know of it.
  public struct LimitByHand: Equatable, Sendable {
    /// nil: no limit.
    public var bytesPerSecond: Int?
    public init(bytesPerSecond: Int?) { self.bytesPerSecond = bytesPerSecond }
  }

  /// nil: none was set, or something else holds since.
  public var limitByHand: LimitByHand? {
    (try? setting(Self.limitName)).map { LimitByHand(bytesPerSecond: Int($0)) }
  }

  /// On any thread. A journal that cannot be written now forgets it with the worker, which is no reason to refuse it.
  public func remember(_ limit: LimitByHand?) {
    _ = try? write { db in
      if let limit {
        try db.execute(
          sql: "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)",
          arguments: [Self.limitName, limit.bytesPerSecond.map(String.init) ?? "off"])
      } else {
        try db.execute(sql: "DELETE FROM settings WHERE name = ?", arguments: [Self.limitName])
      }
    }
  }

  private static let limitName = "limit_by_hand"
}

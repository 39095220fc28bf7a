/// What one of several destinations has of a recording, or of all recordings below a folder.
public struct DestinationShare: Sendable, Equatable {
  /// How the destination is called, without secrets.
  public let name: String
  public var state: SyncState
  public var bytesWritten: Int64
  public var bytesSynced: Int64
  /// Every byte before it is stored there. 0 for a folder.
  public var syncedThrough: Int64
  public var chunksSynced: Int
  /// Seconds since 1970, UTC.
  public var lastSyncedAt: Double?
  public var error: String?

  public init(name: String, state: SyncState) {
    self.name = name
    self.state = state
    bytesWritten = 0
    bytesSynced = 0
    syncedThrough = 0
    chunksSynced = 0
  }

  public var progress: Int { Progress.percent(state, bytesSynced, of: bytesWritten) }
  public var badge: Badge { Badge(state, progress) }

  /// One line: badge and name, and what is wrong.
  public var line: String {
    let reason = error.map { ": " + PrintableText.line($0) } ?? ""
    return "\(badge.text) \(PrintableText.line(name))\(reason)"
  }
}

extension RecordingStatus {
  /// Becomes the sum of its destinations: synced when all are, the worst state else, and never more bytes than the slowest
  /// has. - Parameter shares: in the order in which the destinations are given; one alone is no sum, and is not shown.
  public mutating func combine(_ shares: [DestinationShare]) {
    guard let worst = shares.map(\.state).max() else { return }
    state = worst
    bytesSynced = shares.map(\.bytesSynced).min() ?? 0
    syncedThrough = shares.map(\.syncedThrough).min() ?? 0
    chunksSynced = shares.map(\.chunksSynced).min() ?? 0
    let times = shares.map(\.lastSyncedAt)
    // The recording was synced when the last of them had it; one that has not had it yet makes it never.
    lastSyncedAt = times.contains(nil) ? nil : times.compactMap { $0 }.max()
    let shown = shares.first { $0.state == worst && $0.error != nil }
    // What is wrong with all of them (a pause, the journal) is said once, and of nobody.
    let isCommon = shares.allSatisfy { $0.error == shown?.error }
    error = isCommon ? shown?.error : shown.map { "\($0.name): \($0.error ?? "")" }
    destinations = shares.count == 1 ? [] : shares
  }
}

/// Whether one of several destinations can be used.
public struct DestinationConnection: Sendable, Equatable {
  public let name: String
  public let connection: DestinationState

  public init(name: String, connection: DestinationState) { (self.name, self.connection) = (name, connection) }
}

extension DestinationState {
  /// The worst of several, with the name of the destination that it is about.
  public static func worst(_ all: [DestinationConnection]) -> DestinationState {
    guard all.count > 1 else { return all.first?.connection ?? .online }
    for destination in all { if case .blocked(let reason) = destination.connection { return .blocked("\(destination.name): \(reason)") } }
    for destination in all { if case .offline(let reason) = destination.connection { return .offline("\(destination.name): \(reason)") } }
    return .online
  }
}

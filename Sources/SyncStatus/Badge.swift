/// The mark that stands beside a recording in every view: `⇪ 45%`, `⏸ PAUSED`, `✓ SYNCED`, `❌ FAILED`.
public struct Badge: Sendable, Equatable {
  public let text: String
  public let colour: BadgeColour

  public init(of status: RecordingStatus) { self.init(status.state, status.progress) }

  init(_ state: SyncState, _ progress: Int) {
    switch state {
    case .uploading: text = "⇪ \(progress)%"
    case .paused: text = "⏸ PAUSED"
    case .synced: text = "✓ SYNCED"
    case .failed: text = "❌ FAILED"
    }
    colour = BadgeColour(of: state)
  }
}

/// What a badge is painted with, in the terminal and on the page.
public enum BadgeColour: String, Sendable, CaseIterable {
  case blue, yellow, green, red

  public init(of state: SyncState) {
    switch state {
    case .uploading: self = .blue
    case .paused: self = .yellow
    case .synced: self = .green
    case .failed: self = .red
    }
  }

  /// The ANSI escape sequence that starts the colour; `reset` ends it.
  public var ansiStart: String {
    switch self {
    case .blue: "\u{1B}[34m"
    case .yellow: "\u{1B}[33m"
    case .green: "\u{1B}[32m"
    case .red: "\u{1B}[31m"
    }
  }

  public static let ansiReset = "\u{1B}[0m"
}

enum Progress {
  static func percent(_ state: SyncState, _ bytesSynced: Int64, of bytesWritten: Int64) -> Int {
    if state == .synced { return 100 }
    guard bytesWritten > 0 else { return 0 }
    let stored = min(max(0, bytesSynced), bytesWritten)
    let percent = bytesWritten.dividingFullWidth(stored.multipliedFullWidth(by: 100)).quotient
    return min(99, Int(percent))
  }
}

extension RecordingStatus {
  /// Stored bytes in percent of written ones, rounded down. 100 means synced and nothing else: a recording whose bytes
  /// are all stored, but which the destination has not confirmed as whole, stays at 99.
  public var progress: Int { Progress.percent(state, bytesSynced, of: bytesWritten) }

  /// The path for people and JSON: bytes that are not UTF-8 are repaired.
  public var pathText: String { String(decoding: path, as: UTF8.self) }

  /// Bytes of the recording that are not stored yet.
  public var bytesWaiting: Int64 { max(0, bytesWritten - bytesSynced) }
}

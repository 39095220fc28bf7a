public import UploadProtocol

/// What is known of one recording, or of all recordings below a folder, at one moment.
/// Every view (attributes, `.status`, JSON, table, page) is drawn from this value.
public struct RecordingStatus: Sendable, Equatable {
  public var state: SyncState
  /// Path below the mount's root, as bytes; empty for the root.
  public var path: [UInt8]
  /// nil for a folder.
  public var session: SessionID?
  /// Recordings summed up here; 1 for a recording itself.
  public var recordings: Int
  /// A writer has it (or one of them) open.
  public var isRecording: Bool
  public var bytesWritten: Int64
  public var bytesSynced: Int64
  /// Every byte before it is stored. 0 for a folder.
  public var syncedThrough: Int64
  public var chunksTotal: Int
  public var chunksSynced: Int
  /// Age in seconds of the oldest byte that is not stored; 0 when all are.
  public var lagSeconds: Double
  /// Seconds since 1970, UTC.
  public var lastSyncedAt: Double?
  public var error: String?
  /// The first one, if there are several.
  public var destination: String
  /// What each of several destinations has, the first one first; empty when there is only one.
  public var destinations: [DestinationShare] = []
  /// Hexadecimal, once synced and computed.
  public var sha256: String?
  public var priority: String
  public var isHeld: Bool
  /// Seconds for which nothing was written although a writer has it open; nil unless that is longer than `--stall-after`.
  public var stalledSeconds: Double?

  public init(state: SyncState, path: [UInt8], destination: String) {
    self.state = state
    self.path = path
    self.destination = destination
    self.recordings = 0
    self.isRecording = false
    self.bytesWritten = 0
    self.bytesSynced = 0
    self.syncedThrough = 0
    self.chunksTotal = 0
    self.chunksSynced = 0
    self.lagSeconds = 0
    self.priority = "normal"
    self.isHeld = false
  }
}

/// Ordered from best to worst: a folder shows the worst of what is below it.
public enum SyncState: String, Sendable, Comparable, CaseIterable {
  case synced, uploading, paused, failed

  public static func < (left: SyncState, right: SyncState) -> Bool { left.rank < right.rank }
  private var rank: Int {
    switch self {
    case .synced: 0
    case .uploading: 1
    case .paused: 2
    case .failed: 3
    }
  }
}

/// One mount as a whole at one moment: the sum of its recordings and the state of its destination.
public struct OverallStatus: Sendable, Equatable {
  /// When the snapshot was taken, in seconds since 1970, UTC. Every view shows it.
  public var time: Double
  /// Sum of all recordings; its path is empty.
  public var total: RecordingStatus
  public var counts: StateCounts
  /// The worst of all destinations.
  public var connection: DestinationState
  /// Each of several destinations; empty when there is only one.
  public var destinations: [DestinationConnection] = []
  /// A person paused the uploads.
  public var isPaused: Bool
  /// Bytes a second over all transfers; nil: no limit.
  public var bytesPerSecondMax: Int?
  /// With a schedule of limits, when its next entry begins, such as `Mon 18:00` on the clock of that machine.
  public var limitUntil: String?
  /// Uploads are paused because the connection is metered.
  public var isOnMeter: Bool
  /// Seconds between the beginnings of two rounds of periodic sync; nil: uploads are continuous.
  public var syncEvery: Double?
  /// When the next round begins, in seconds since 1970; nil: in a round, or without rounds.
  public var nextRoundAt: Double?
  /// Requests on their way.
  public var inFlight: Int
  /// Requests that may be on their way at once now; nil: not known, as in a document.
  public var window: Int?
  /// Seconds that a transfer of chunks may move no byte now.
  public var stallTimeout: Double?
  /// Seconds between the starts of two requests, because a destination refused some; 0: none.
  public var spacing: Double?
  /// Set while the journal cannot be written; nothing is sent then.
  public var journalError: String?

  public init(time: Double, total: RecordingStatus, counts: StateCounts, connection: DestinationState) {
    self.time = time
    self.total = total
    self.counts = counts
    self.connection = connection
    self.isPaused = false
    self.bytesPerSecondMax = nil
    self.isOnMeter = false
    self.inFlight = 0
    self.journalError = nil
  }

  public var bytesWaiting: Int64 { total.bytesWaiting }
  public var chunksWaiting: Int { max(0, total.chunksTotal - total.chunksSynced) }
}

/// How many recordings are in each state.
public struct StateCounts: Sendable, Equatable {
  public var synced = 0
  public var uploading = 0
  public var paused = 0
  public var failed = 0

  public init() {}

  public subscript(_ state: SyncState) -> Int {
    get {
      switch state {
      case .synced: synced
      case .uploading: uploading
      case .paused: paused
      case .failed: failed
      }
    }
    set {
      switch state {
      case .synced: synced = newValue
      case .uploading: uploading = newValue
      case .paused: paused = newValue
      case .failed: failed = newValue
      }
    }
  }
}

/// Whether the destination can be used, and if not, why, in words for people.
public enum DestinationState: Sendable, Equatable {
  case online
  case offline(String)
  case blocked(String)

  /// `online`, `offline`, `blocked`.
  public var name: String {
    switch self {
    case .online: "online"
    case .offline: "offline"
    case .blocked: "blocked"
    }
  }

  public var reason: String? {
    switch self {
    case .online: nil
    case .offline(let reason), .blocked(let reason): reason
    }
  }

  public init?(name: String, reason: String?) {
    switch name {
    case "online": self = .online
    case "offline": self = .offline(reason ?? "")
    case "blocked": self = .blocked(reason ?? "")
    default: return nil
    }
  }
}

/// `.status/metrics`: Prometheus text format 0.0.4. Labels are states only, so the number of series never grows.
public enum MetricsPage {
  /// Counted since the worker started; all of them only grow.
  public struct Counters: Sendable, Equatable {
    public var chunksUploaded: Int64 = 0
    public var bytesUploaded: Int64 = 0
    public var uploadErrors: Int64 = 0
    public var sessionsCompleted: Int64 = 0
    public var connectionsLost: Int64 = 0

    public init() {}

    /// Of several destinations.
    public static func + (left: Counters, right: Counters) -> Counters {
      var sum = left
      sum.chunksUploaded += right.chunksUploaded
      sum.bytesUploaded += right.bytesUploaded
      sum.uploadErrors += right.uploadErrors
      sum.sessionsCompleted += right.sessionsCompleted
      sum.connectionsLost += right.connectionsLost
      return sum
    }
  }

  /// ASCII, ending in a newline.
  public static func text(_ overall: OverallStatus, _ counters: Counters) -> String {
    var page = Page()
    let total = overall.total
    page.gauge(
      "reelfs_recordings", "Recordings by state.", label: "status",
      SyncState.allCases.map {
        ($0.rawValue, Double(overall.counts[$0]))
      })
    page.gauge("reelfs_recording_open", "1 while a writer has a recording open.", total.isRecording ? 1 : 0)
    page.gauge("reelfs_written_bytes", "Bytes in all recordings.", Double(total.bytesWritten))
    page.gauge("reelfs_stored_bytes", "Bytes stored at the destination.", Double(total.bytesSynced))
    page.gauge("reelfs_queue_bytes", "Bytes not stored yet.", Double(overall.bytesWaiting))
    page.gauge("reelfs_queue_chunks", "Chunks not stored yet.", Double(overall.chunksWaiting))
    page.gauge("reelfs_lag_seconds", "Age of the oldest byte that is not stored.", max(0, total.lagSeconds))
    page.gauge(
      "reelfs_connection", "1 for the state that the destination is in.", label: "state",
      ["online", "offline", "blocked"].map { ($0, $0 == overall.connection.name ? 1 : 0) })
    page.gauge("reelfs_paused", "1 while a person has paused the uploads.", overall.isPaused ? 1 : 0)
    page.gauge("reelfs_journal_error", "1 while the journal cannot be written.", overall.journalError == nil ? 0 : 1)
    page.gauge("reelfs_transfers_in_flight", "Requests on their way.", Double(overall.inFlight))
    page.gauge(
      "reelfs_limit_bytes_per_second", "The rate limit; 0 without one.", Double(overall.bytesPerSecondMax ?? 0))
    if let last = total.lastSyncedAt {
      page.gauge("reelfs_last_synced_timestamp_seconds", "When a chunk was stored last, since 1970.", last)
    }
    page.gauge("reelfs_snapshot_timestamp_seconds", "When this snapshot was taken, since 1970.", overall.time)
    page.counter("reelfs_uploaded_chunks_total", "Receipts for chunks.", counters.chunksUploaded)
    page.counter("reelfs_uploaded_bytes_total", "Bytes in those chunks.", counters.bytesUploaded)
    page.counter("reelfs_upload_errors_total", "Attempts that failed.", counters.uploadErrors)
    page.counter("reelfs_completed_sessions_total", "Recordings confirmed as whole.", counters.sessionsCompleted)
    page.counter("reelfs_connections_lost_total", "Times the destination was lost.", counters.connectionsLost)
    return page.text
  }

  private struct Page {
    var text = ""

    mutating func gauge(_ name: String, _ help: String, _ value: Double) {
      head(name, help, "gauge")
      text += "\(name) \(Decimals.text(value, places: 3))\n"
    }

    mutating func gauge(_ name: String, _ help: String, label: String, _ series: [(String, Double)]) {
      head(name, help, "gauge")
      for (value, number) in series { text += "\(name){\(label)=\"\(value)\"} \(Decimals.text(number, places: 3))\n" }
    }

    mutating func counter(_ name: String, _ help: String, _ value: Int64) {
      head(name, help, "counter")
      text += "\(name) \(value)\n"
    }

    private mutating func head(_ name: String, _ help: String, _ type: String) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }
  }
}

/// `.status/metrics`: Prometheus text format 0.0.4. Labels are states, endings and bucket bounds only, so the number of series
/// never grows.
public enum MetricsPage {
  /// Counted since the worker started; all of them only grow.
  public struct Counters: Sendable, Equatable {
    public var chunksUploaded: Int64 = 0
    public var bytesUploaded: Int64 = 0
    public var uploadErrors: Int64 = 0
    public var sessionsCompleted: Int64 = 0
    public var connectionsLost: Int64 = 0
    /// By how they ended; every ending there is, also those that did not happen yet.
    public var attempts: [String: Int64] = [:]
    public var retries: Int64 = 0
    /// Times that the journal stopped taking facts.
    public var journalErrors: Int64 = 0
    public var recordingsStalled: Int64 = 0
    public var chunksEvicted: Int64 = 0

    public init() {}

    /// Of several destinations.
    public static func + (left: Counters, right: Counters) -> Counters {
      var sum = left
      sum.chunksUploaded += right.chunksUploaded
      sum.bytesUploaded += right.bytesUploaded
      sum.uploadErrors += right.uploadErrors
      sum.sessionsCompleted += right.sessionsCompleted
      sum.connectionsLost += right.connectionsLost
      sum.attempts.merge(right.attempts) { $0 + $1 }
      sum.retries += right.retries
      sum.journalErrors += right.journalErrors
      sum.recordingsStalled += right.recordingsStalled
      sum.chunksEvicted += right.chunksEvicted
      return sum
    }
  }

  /// The machine beneath, at the moment of the page.
  public struct Machine: Sendable, Equatable {
    /// Bytes of the local disk that recordings take.
    public var spoolBytes: Int64 = 0
    /// What they may take; nil: not known yet.
    public var spoolBytesMax: Int64?
    /// Left on the spool's disk.
    public var diskBytesFree: Int64 = 0
    /// Workers that have served this mount, the present one too.
    public var workers: Int64 = 1

    public init() {}
  }

  public struct Histograms: Sendable, Equatable {
    public var writes = Histogram()
    /// From a chunk's seal to its receipt.
    public var lags = Histogram()
    public var requests = Histogram()

    public init() {}
  }

  /// Lengths of time in buckets.
  public struct Histogram: Sendable, Equatable {
    /// Upper bounds in seconds, ascending.
    public var bounds: [Double]
    /// One more than `bounds`; each value is in exactly one.
    public var counts: [UInt64]
    public var sumSeconds: Double

    /// Of the same bounds.
    public static func + (left: Histogram, right: Histogram) -> Histogram {
      precondition(left.bounds == right.bounds, "buckets that mean the same")
      var sum = left
      for (bucket, count) in right.counts.enumerated() { sum.counts[bucket] += count }
      sum.sumSeconds += right.sumSeconds
      return sum
    }

    public init(bounds: [Double] = [], counts: [UInt64] = [0], sumSeconds: Double = 0) {
      precondition(counts.count == bounds.count + 1, "one bucket for what is longer than all bounds")
      self.bounds = bounds
      self.counts = counts
      self.sumSeconds = sumSeconds
    }
  }

  /// ASCII, ending in a newline.
  public static func text(
    _ overall: OverallStatus, _ counters: Counters, _ machine: Machine = Machine(), _ histograms: Histograms = Histograms()
  ) -> String {
    var page = MetricsText()
    addRecordings(overall, &page)
    addUploader(overall, &page)
    addCounters(counters, &page)
    addMachine(machine, &page)
    page.histogram("reelfs_write_duration_seconds", "Time that a write() of a recorder took.", histograms.writes)
    page.histogram(
      "reelfs_chunk_lag_seconds", "Time from a chunk's seal to its receipt, of chunks stored.", histograms.lags)
    page.histogram("reelfs_request_duration_seconds", "Time that requests which stored chunks took.", histograms.requests)
    return page.text
  }

  private static func addRecordings(_ overall: OverallStatus, _ page: inout MetricsText) {
    let total = overall.total
    page.gauge(
      "reelfs_recordings", "Recordings by state.", label: "status",
      SyncState.allCases.map { ($0.rawValue, Double(overall.counts[$0])) })
    page.gauge("reelfs_recording_open", "1 while a writer has a recording open.", total.isRecording ? 1 : 0)
    page.gauge("reelfs_written_bytes", "Bytes in all recordings.", Double(total.bytesWritten))
    page.gauge("reelfs_stored_bytes", "Bytes stored at the destination.", Double(total.bytesSynced))
    page.gauge("reelfs_queue_bytes", "Bytes not stored yet.", Double(overall.bytesWaiting))
    page.gauge("reelfs_queue_chunks", "Chunks not stored yet.", Double(overall.chunksWaiting))
    page.gauge("reelfs_lag_seconds", "Age of the oldest byte that is not stored.", max(0, total.lagSeconds))
    if let last = total.lastSyncedAt {
      page.gauge("reelfs_last_synced_timestamp_seconds", "When a chunk was stored last, since 1970.", last)
    }
  }

  private static func addUploader(_ overall: OverallStatus, _ page: inout MetricsText) {
    page.gauge(
      "reelfs_connection", "1 for the state that the destination is in.", label: "state",
      ["online", "offline", "blocked"].map { ($0, $0 == overall.connection.name ? 1 : 0) })
    page.gauge("reelfs_paused", "1 while a person has paused the uploads.", overall.isPaused ? 1 : 0)
    page.gauge("reelfs_metered", "1 while uploads are paused because the connection is metered.", overall.isOnMeter ? 1 : 0)
    page.gauge("reelfs_journal_error", "1 while the journal cannot be written.", overall.journalError == nil ? 0 : 1)
    page.gauge("reelfs_transfers_in_flight", "Requests on their way.", Double(overall.inFlight))
    if let window = overall.window {
      page.gauge("reelfs_transfers_window", "Requests that may be on their way at once now, at most --parallel.", Double(window))
    }
    if let spacing = overall.spacing {
      page.gauge(
        "reelfs_request_spacing_seconds", "Time between two requests, because the destination refused some; 0 without.", spacing)
    }
    if let timeout = overall.stallTimeout {
      page.gauge(
        "reelfs_stall_timeout_seconds", "Time that a transfer may move no byte now, at most --upload-timeout.", timeout)
    }
    page.gauge(
      "reelfs_limit_bytes_per_second", "The rate limit; 0 without one.", Double(overall.bytesPerSecondMax ?? 0))
    if let next = overall.nextRoundAt {
      page.gauge("reelfs_next_round_timestamp_seconds", "When the next round of periodic sync begins, since 1970.", next)
    }
    page.gauge("reelfs_snapshot_timestamp_seconds", "When this snapshot was taken, since 1970.", overall.time)
  }

  private static func addCounters(_ counters: Counters, _ page: inout MetricsText) {
    page.counter("reelfs_uploaded_chunks_total", "Receipts for chunks.", counters.chunksUploaded)
    page.counter("reelfs_uploaded_bytes_total", "Bytes in those chunks.", counters.bytesUploaded)
    page.counter("reelfs_upload_errors_total", "Failures that were told as events.", counters.uploadErrors)
    page.counter(
      "reelfs_upload_attempts_total", "Requests by how they ended.", label: "outcome",
      counters.attempts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    page.counter("reelfs_upload_retries_total", "Requests that followed on a failure of their recording.", counters.retries)
    page.counter("reelfs_completed_sessions_total", "Recordings confirmed as whole.", counters.sessionsCompleted)
    page.counter("reelfs_connections_lost_total", "Times the destination was lost.", counters.connectionsLost)
    page.counter("reelfs_journal_errors_total", "Times the journal could not be written.", counters.journalErrors)
    page.counter(
      "reelfs_recordings_stalled_total", "Times an open recording got no more bytes for --stall-after.",
      counters.recordingsStalled)
    page.counter(
      "reelfs_evicted_chunks_total", "Chunks whose local bytes were given up after they were stored.", counters.chunksEvicted)
  }

  private static func addMachine(_ machine: Machine, _ page: inout MetricsText) {
    page.gauge("reelfs_spool_bytes", "Bytes of the local disk that recordings take.", Double(machine.spoolBytes))
    if let most = machine.spoolBytesMax {
      page.gauge("reelfs_spool_quota_bytes", "Bytes of the local disk that recordings may take.", Double(most))
    }
    page.gauge("reelfs_disk_free_bytes", "Bytes free on the spool's disk.", Double(machine.diskBytesFree))
    page.counter("reelfs_worker_starts_total", "Workers that have served this mount, the first one too.", machine.workers)
  }
}

/// `.status/summary`: the mount as a whole, first in a sentence, then as `name: value` lines.
public enum SummaryPage {
  /// UTF-8, ending in a newline.
  public static func text(_ overall: OverallStatus) -> String {
    let total = overall.total
    var lines = [Badge(of: total).text + " " + safeSentence(overall)]
    func add(_ name: String, _ value: String?) {
      if let value { lines.append(name + ": " + PrintableText.line(value)) }
    }
    add("time", Timestamp.text(overall.time))
    add("connection", overall.connection.name)
    add("connection_reason", overall.connection.reason)
    add("paused", overall.isPaused ? "1" : "0")
    add("metered", overall.isOnMeter ? "1" : nil)
    add("limit", overall.bytesPerSecondMax.map { String($0) } ?? "off")
    add("limit_until", overall.limitUntil)
    add("sync_every_seconds", overall.syncEvery.map { Decimals.text($0, places: 3) })
    add("next_round_at", overall.nextRoundAt.map(Timestamp.text))
    add("transfers_in_flight", String(overall.inFlight))
    add("journal_error", overall.journalError)
    add("recordings", String(total.recordings))
    for state in SyncState.allCases { add("recordings_" + state.rawValue, String(overall.counts[state])) }
    add("bytes_waiting", String(overall.bytesWaiting))
    add("chunks_waiting", String(overall.chunksWaiting))
    for name in ["status", "progress", "recording", "bytes_written", "bytes_synced", "chunks_total", "chunks_synced"]
      + ["lag_seconds", "last_synced_at", "error", "destination"]
    {
      add(name, StatusAttributes.value(name, of: total))
    }
    for (place, share) in total.destinations.enumerated() { add("destination.\(place + 1)", share.line) }
    for (place, destination) in overall.destinations.enumerated() {
      add("connection.\(place + 1)", [destination.connection.name, destination.connection.reason].compactMap { $0 }.joined(separator: ": "))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// What may be relied on, and as of when: never a bare word.
  public static func safeSentence(_ overall: OverallStatus) -> String {
    let asOf = "as of " + Timestamp.text(overall.time)
    let total = overall.total
    if total.recordings == 0 { return "Nothing has been recorded, \(asOf)." }
    if total.state == .synced {
      return "Safe: all \(ByteSize.human(total.bytesWritten)) in \(recordings(total.recordings)), \(asOf)."
    }
    let stored = "\(ByteSize.human(total.bytesSynced)) of \(ByteSize.human(total.bytesWritten)) are stored"
    if total.bytesWaiting == 0 {
      return "All bytes are stored, \(recordings(unfinished(overall))) not confirmed as whole yet, \(asOf)."
    }
    let through = Timestamp.text(overall.time - max(0, total.lagSeconds))
    return "Safe through \(through): everything written before is stored; \(stored), \(asOf)."
  }

  private static func unfinished(_ overall: OverallStatus) -> Int {
    overall.counts.uploading + overall.counts.paused + overall.counts.failed
  }

  private static func recordings(_ count: Int) -> String { count == 1 ? "1 recording" : "\(count) recordings" }
}

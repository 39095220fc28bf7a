/// `.status/sessions.json`: the mount as a whole and every recording, built one recording at a time at linear cost.
public struct SessionsPage: Sendable {
  private var json = JSONText()

  /// Writes the head. `overall` must come from the same snapshot as the recordings appended afterwards.
  public init(_ overall: OverallStatus) {
    json.beginObject()
    json.add("schema_version", StatusAttributes.schemaVersion)
    json.add("time", Timestamp.milliseconds(overall.time))
    json.add("connection", overall.connection.name)
    json.add("connection_reason", optional: overall.connection.reason)
    if !overall.destinations.isEmpty {
      json.beginArray("connections")
      for destination in overall.destinations {
        json.beginObject()
        json.add("destination", destination.name)
        json.add("connection", destination.connection.name)
        json.add("connection_reason", optional: destination.connection.reason)
        json.endObject()
      }
      json.endArray()
    }
    json.add("paused", overall.isPaused)
    if let limit = overall.bytesPerSecondMax {
      json.add("limit_bytes_per_second", limit)
    } else {
      json.addNull("limit_bytes_per_second")
    }
    json.add("limit_until", optional: overall.limitUntil)
    json.add("metered", overall.isOnMeter)
    if let syncEvery = overall.syncEvery { json.add("sync_every_seconds", syncEvery) }
    json.add("next_round_at", optional: overall.nextRoundAt.map(Timestamp.text))
    json.add("transfers_in_flight", overall.inFlight)
    json.add("journal_error", optional: overall.journalError)
    json.add("bytes_waiting", overall.bytesWaiting)
    json.add("chunks_waiting", overall.chunksWaiting)
    json.beginObject("states")
    for state in SyncState.allCases { json.add(state.rawValue, overall.counts[state]) }
    json.endObject()
    json.beginObject("total")
    StatusAttributes.add(overall.total, to: &json)
    json.endObject()
    json.beginArray("sessions")
  }

  public mutating func append(_ recording: RecordingStatus) {
    json.newline()
    json.beginObject()
    StatusAttributes.add(recording, to: &json)
    json.endObject()
  }

  /// The whole page, UTF-8.
  public consuming func finish() -> [UInt8] {
    json.newline()
    json.endArray()
    json.endObject()
    json.newline()
    return json.bytes
  }

  public static func bytes(_ overall: OverallStatus, _ recordings: some Sequence<RecordingStatus>) -> [UInt8] {
    var page = SessionsPage(overall)
    for recording in recordings { page.append(recording) }
    return page.finish()
  }
}

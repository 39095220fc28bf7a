import UploadProtocol

/// The report for people, and for programs.
extension UploadReport {
  /// Enough to see a pattern, short enough to be read.
  private static let rowsMax = 5

  /// UTF-8, ending in a newline.
  public var text: String {
    var lines = ["\(PrintableText.line(title)): uploads from \(Timestamp.text(from)) to \(Timestamp.text(to))"]
    guard let successPercent else {
      return lines[0] + "\n  nothing was sent\n"
    }
    lines.append("  requests   \(attempts), \(percent(successPercent)) without failure")
    lines.append("  endings    " + endings.map { "\($0.ending) \($0.attempts)" }.joined(separator: ", "))
    lines.append("  retries    \(retries) (\(percent(Double(retries) * 100 / Double(attempts))) of the requests followed on a failure)")
    lines.append("  stored     \(ByteSize.human(bytes)) in \(chunks) chunks")
    addHours(to: &lines)
    addTroubles(to: &lines)
    return lines.joined(separator: "\n") + "\n"
  }

  private func addHours(to lines: inout [String]) {
    let slow = slowest(Self.rowsMax)
    if !slow.isEmpty { lines += ["", "Slowest hours (UTC): what one request took for a mebibyte"] }
    for pace in slow {
      lines.append(
        "  \(hourText(pace.hour))  \(Decimals.text(pace.secondsPerMebibyte, places: 2)) s, \(ByteSize.human(pace.bytes)) stored"
          + (pace.failures > 0 ? ", \(pace.failures) failures" : ""))
    }
    let bad = worst(Self.rowsMax)
    if !bad.isEmpty { lines += ["", "Hours with most failures (UTC)"] }
    for hour in bad { lines.append("  \(hourText(hour.hour))  \(hour.failures) of \(hour.attempts) requests") }
  }

  private func addTroubles(to lines: inout [String]) {
    if !troubles.isEmpty { lines += ["", "Recordings with most failures"] }
    for trouble in troubles {
      let path = PrintableText.line(String(decoding: trouble.path, as: UTF8.self))
      lines.append("  \(path) (\(trouble.state)): \(trouble.failures) of \(trouble.attempts) requests, \(trouble.inARowMax) in a row at most")
      lines.append("    last \(Timestamp.text(trouble.lastAt)), \(trouble.lastEnding): \(PrintableText.line(trouble.lastMessage))")
    }
  }

  /// One JSON object, ending in a newline.
  public var json: [UInt8] {
    var json = JSONText()
    json.beginObject()
    json.add("schema_version", StatusAttributes.schemaVersion)
    json.add("title", title)
    json.add("from", Timestamp.text(from))
    json.add("to", Timestamp.text(to))
    json.add("requests", attempts)
    json.add("failures", failures)
    if let successPercent { json.add("success_percent", successPercent) } else { json.addNull("success_percent") }
    json.add("retries", retries)
    json.add("bytes_stored", bytes)
    json.add("chunks_stored", chunks)
    json.beginObject("endings")
    for (ending, attempts) in endings { json.add(ending, attempts) }
    json.endObject()
    json.beginArray("hours")
    for hour in hours { add(hour, to: &json) }
    json.endArray()
    json.beginArray("slowest_hours")
    for pace in slowest(Self.rowsMax) {
      json.beginObject()
      json.add("hour", hourText(pace.hour))
      json.add("seconds_per_mebibyte", pace.secondsPerMebibyte)
      json.add("bytes_stored", pace.bytes)
      json.add("failures", pace.failures)
      json.endObject()
    }
    json.endArray()
    json.beginArray("troubled_sessions")
    for trouble in troubles { add(trouble, to: &json) }
    json.endArray()
    json.endObject()
    json.newline()
    return json.bytes
  }

  private func add(_ hour: Hour, to json: inout JSONText) {
    json.beginObject()
    json.add("hour", hourText(hour.hour))
    json.add("ending", hour.ending)
    json.add("failure", hour.isFailure)
    json.add("requests", hour.attempts)
    json.add("retries", hour.retries)
    json.add("chunks", hour.chunks)
    json.add("bytes_stored", hour.bytes)
    json.add("seconds", Double(hour.milliseconds) / 1_000)
    json.endObject()
  }

  private func add(_ trouble: Trouble, to json: inout JSONText) {
    json.beginObject()
    json.add("path", String(decoding: trouble.path, as: UTF8.self))
    if !trouble.path.isValidUTF8 { json.add("path_base64", Base64.text(trouble.path)) }
    json.add("session", trouble.session.description)
    json.add("state", trouble.state)
    json.add("requests", trouble.attempts)
    json.add("failures", trouble.failures)
    json.add("failures_in_a_row_max", trouble.inARowMax)
    json.add("last_failure_at", Timestamp.text(trouble.lastAt))
    json.add("last_ending", trouble.lastEnding)
    json.add("last_error", trouble.lastMessage)
    json.endObject()
  }

  private func hourText(_ hour: Int64) -> String { Timestamp.text(Double(hour) * 3_600) }
  private func percent(_ value: Double) -> String { Decimals.text((value * 10).rounded(.down) / 10, places: 1) + " %" }
}

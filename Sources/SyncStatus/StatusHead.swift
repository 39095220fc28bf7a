/// The lines above a table: where recordings go and whether that works, what is safe, and what waits.
struct StatusHead {
  /// Columns; nil never wraps.
  var width: Int?

  func lines(_ overall: OverallStatus, title: String) -> [String] {
    let queue = queue(overall, nil)
    return destinations(overall, title).flatMap(wrap) + wrap(SummaryPage.safeSentence(overall))
      + (queue.isEmpty ? [] : wrap(queue.joined(separator: " · ")))
  }

  /// With how many recordings are in which state, and how fast it goes; on a narrow terminal in a line each.
  func liveLines(_ overall: OverallStatus, title: String, _ pace: WatchTable.Pace?) -> [String] {
    let queue = queue(overall, pace).joined(separator: " · ")
    let counts = overall.total.recordings > 0 ? [counts(overall)] : []
    let waiting = queue.isEmpty ? [] : [queue]
    guard let width, width < Self.narrow else {
      return destinations(overall, title).flatMap(wrap) + wrap(SummaryPage.safeSentence(overall))
        + (counts + waiting).flatMap(wrap)
    }
    let total = overall.total
    let stored = ByteSize.part(total.bytesSynced, of: total.bytesWritten) + " stored at " + Timestamp.text(overall.time).suffix(9)
    return ([overall.connection.name + ": " + PrintableText.line(overall.connection.reason ?? title), stored] + counts + waiting)
      .map { DisplayWidth.cut($0, to: width) }
  }

  /// Fewer columns would break each sentence over three lines.
  private static let narrow = 60

  /// A line for each destination.
  private func destinations(_ overall: OverallStatus, _ title: String) -> [String] {
    let all =
      overall.destinations.isEmpty
      ? [DestinationConnection(name: overall.total.destination, connection: overall.connection)] : overall.destinations
    return all.enumerated().map { place, destination in
      let start = place == 0 ? PrintableText.line(title) : "and also"
      var line = "\(start) → \(PrintableText.line(destination.name)), \(destination.connection.name)"
      if let reason = destination.connection.reason, !reason.isEmpty { line += ": " + PrintableText.line(reason) }
      return line
    }
  }

  private func counts(_ overall: OverallStatus) -> String {
    let total = overall.total.recordings
    let states = SyncState.allCases.sorted(by: >).filter { overall.counts[$0] > 0 }
    return "\(total) recording\(total == 1 ? "" : "s"): "
      + states.map { "\(overall.counts[$0]) \($0.rawValue)" }.joined(separator: ", ")
  }

  private func queue(_ overall: OverallStatus, _ live: WatchTable.Pace?) -> [String] {
    var queue: [String] = []
    if overall.bytesWaiting > 0 {
      queue.append("\(ByteSize.human(overall.bytesWaiting)) in \(overall.chunksWaiting) chunks waiting")
    }
    if let live {
      queue.append(live.rateText)
      if let left = live.secondsLeft { queue.append(DurationText.human(left) + " left") }
    }
    if overall.isPaused { queue.append("paused by you (reelfs resume)") }
    if overall.isOnMeter { queue.append("paused: the connection is metered (reelfs resume)") }
    if let limit = overall.bytesPerSecondMax {
      queue.append("limit \(ByteSize.human(Int64(limit)))/s" + (overall.limitUntil.map { " until \($0)" } ?? ""))
    }
    if let next = overall.nextRoundAt {
      queue.append("next round in \(DurationText.human(next - overall.time)) (reelfs flush)")
    }
    if let error = overall.journalError { queue.append("journal: " + PrintableText.line(error)) }
    return queue
  }

  private func wrap(_ line: String) -> [String] { width.map { DisplayWidth.wrap(line, to: $0) } ?? [line] }
}

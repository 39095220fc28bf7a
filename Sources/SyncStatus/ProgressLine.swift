/// One line that says how far the uploads are, for a place where only one is to be had.
public enum ProgressLine {
  /// - Parameters:
  ///   - pace: nil while it is not known.
  ///   - width: columns; the least needed parts go first.
  /// - Returns: nil when nothing waits.
  public static func text(_ overall: OverallStatus, pace: WatchTable.Pace?, width: Int) -> String? {
    let total = overall.total
    guard total.state != .synced, total.recordings > 0 else { return nil }
    let badge = Badge(of: total).text
    let stored = ByteSize.part(total.bytesSynced, of: total.bytesWritten) + " stored"
    var parts = [badge, ProgressBar.text(total.progress, width: 20), stored]
    if let pace {
      parts.append(pace.rateText)
      if let left = pace.secondsLeft { parts.append(DurationText.human(left) + " left") }
    } else if let reason = overall.connection.reason ?? total.error {
      parts.append(PrintableText.line(reason))
    }
    for candidate in [parts, Array(parts.prefix(3)), [badge, stored]] {
      let line = candidate.joined(separator: "  ")
      if DisplayWidth.of(line) <= width { return line }
    }
    return DisplayWidth.cut(parts[0] + "  " + stored, to: width)
  }
}

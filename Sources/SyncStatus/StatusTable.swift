public import UploadProtocol

/// The table of `reelfs status`: the mount in the head, then a line for each recording, the worst first.
public struct StatusTable: Sendable {
  /// Columns of the terminal; nil (not a terminal) never cuts a name.
  public var width: Int?
  public var usesColour: Bool
  /// Most recordings shown; a last line says how many were left out. nil: all.
  public var rowsMax: Int?

  public init(width: Int?, usesColour: Bool, rowsMax: Int? = nil) {
    self.width = width
    self.usesColour = usesColour
    self.rowsMax = rowsMax
  }

  /// What two snapshots tell that one does not.
  public struct Pace: Sendable, Equatable {
    public var bytesPerSecond: Double
    /// Seconds until all is stored at this pace; nil: not to be told.
    public var secondsLeft: Double?
    public init(bytesPerSecond: Double, secondsLeft: Double?) {
      self.bytesPerSecond = bytesPerSecond
      self.secondsLeft = secondsLeft
    }
  }

  /// Stands before the name of a recording that a writer has open.
  static let openMark = "● "

  /// The lines of the table, without newlines. `paces` empty: no column for it.
  public func lines(
    _ overall: OverallStatus, _ recordings: [RecordingStatus], title: String, paces: [SessionID: Pace] = [:]
  ) -> [String] {
    var lines = head(overall, title: title)
    let sorted = Self.worstFirst(recordings)
    let shown = rowsMax.map { sorted.prefix(max(0, $0)) } ?? sorted[...]
    if !shown.isEmpty { lines.append("") }
    let columns = Columns(width: width, longestName: longestName(shown), withPace: !paces.isEmpty)
    for recording in shown {
      lines.append(row(recording, columns, pace: recording.session.flatMap { paces[$0] }))
      if recording.destinations.isEmpty {
        if let error = recording.error { lines.append(cut("    " + PrintableText.line(error))) }
      } else if recording.state != .synced {
        lines += recording.destinations.map { cut("    → " + $0.line) }
      }
    }
    if shown.count < sorted.count { lines.append(cut("… and \(sorted.count - shown.count) more")) }
    return lines
  }

  /// Failed, paused, uploading, synced; within each the longest lag first, then by path.
  public static func worstFirst(_ recordings: [RecordingStatus]) -> [RecordingStatus] {
    recordings.sorted { left, right in
      if left.state != right.state { return left.state > right.state }
      if left.lagSeconds != right.lagSeconds { return left.lagSeconds > right.lagSeconds }
      return left.path.lexicographicallyPrecedes(right.path)
    }
  }

  private func head(_ overall: OverallStatus, title: String) -> [String] {
    let all =
      overall.destinations.isEmpty
      ? [DestinationConnection(name: overall.total.destination, connection: overall.connection)] : overall.destinations
    var lines: [String] = []
    for destination in all {
      let start = lines.isEmpty ? PrintableText.line(title) : "and also"
      var line = "\(start) → \(PrintableText.line(destination.name)), \(destination.connection.name)"
      if let reason = destination.connection.reason, !reason.isEmpty { line += ": " + PrintableText.line(reason) }
      lines += wrap(line)
    }
    lines += wrap(SummaryPage.safeSentence(overall))
    var queue: [String] = []
    if overall.bytesWaiting > 0 {
      queue.append("\(ByteSize.human(overall.bytesWaiting)) in \(overall.chunksWaiting) chunks waiting")
    }
    if overall.isPaused { queue.append("paused by you (reelfs resume)") }
    if let limit = overall.bytesPerSecondMax { queue.append("limit \(ByteSize.human(Int64(limit)))/s") }
    if let error = overall.journalError { queue.append("journal: " + PrintableText.line(error)) }
    if !queue.isEmpty { lines += wrap(queue.joined(separator: " · ")) }
    return lines
  }

  private func row(_ recording: RecordingStatus, _ columns: Columns, pace: Pace?) -> String {
    let badge = Badge(of: recording)
    let mark = recording.isRecording ? Self.openMark : ""
    let name = DisplayWidth.fit(PrintableText.line(recording.pathText), to: columns.name - DisplayWidth.of(mark))
    var cells = [paint(DisplayWidth.fit(badge.text, to: Columns.badge), badge.colour), mark + name]
    if columns.hasBar { cells.append(paint(bar(recording.progress), badge.colour)) }
    if columns.hasSize {
      let size = "\(ByteSize.human(recording.bytesSynced)) / \(ByteSize.human(recording.bytesWritten))"
      cells.append(right(size, Columns.size))
    }
    if columns.hasLag {
      cells.append(right(recording.lagSeconds > 0 ? DurationText.human(recording.lagSeconds) : "", Columns.lag))
    }
    if columns.hasPace { cells.append(right(pace.map(text) ?? "", Columns.pace)) }
    let line = cells.joined(separator: " ")
    return width == nil ? line.droppingTrailingBlanks : line
  }

  private func text(_ pace: Pace) -> String {
    let rate = ByteSize.human(Int64(max(0, min(pace.bytesPerSecond, 1e15)))) + "/s"
    return pace.secondsLeft.map { rate + " " + DurationText.human($0) } ?? rate
  }

  private func longestName(_ shown: ArraySlice<RecordingStatus>) -> Int {
    var longest = 0
    for recording in shown {
      let mark = recording.isRecording ? DisplayWidth.of(Self.openMark) : 0
      longest = max(longest, DisplayWidth.of(PrintableText.line(recording.pathText)) + mark)
    }
    return longest
  }

  /// Eighths of a cell, so that a slow upload is seen to move.
  private func bar(_ progress: Int) -> String {
    let eighths = progress * Columns.bar * 8 / 100
    var bar = String(repeating: "█", count: eighths / 8)
    if eighths % 8 > 0 { bar.append(["▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8 - 1]) }
    return bar + String(repeating: "░", count: Columns.bar - bar.count)
  }

  private func paint(_ text: String, _ colour: BadgeColour) -> String {
    usesColour ? colour.ansiStart + text + BadgeColour.ansiReset : text
  }

  private func wrap(_ line: String) -> [String] { width.map { DisplayWidth.wrap(line, to: $0) } ?? [line] }

  private func cut(_ line: String) -> String { width.map { DisplayWidth.cut(line, to: $0) } ?? line }

  private func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - DisplayWidth.of(text))) + text
  }
}

/// Which columns a table has, and how wide the name is: on a narrow terminal the least needed columns go first.
private struct Columns {
  static let badge = 10
  static let bar = 10
  static let size = 22
  static let lag = 7
  static let pace = 18
  /// Fewer columns of a name tell recordings apart no longer.
  static let nameMin = 12

  var name = 0
  var hasBar = true
  var hasSize = true
  var hasLag = true
  var hasPace: Bool

  init(width: Int?, longestName: Int, withPace: Bool) {
    hasPace = withPace
    name = max(Self.nameMin, longestName)
    guard let width else { return }
    if width < fixed + Self.nameMin { hasLag = false }
    if width < fixed + Self.nameMin { hasBar = false }
    if width < fixed + Self.nameMin { hasPace = false }
    if width < fixed + Self.nameMin { hasSize = false }
    name = max(1, min(name, width - fixed))
  }

  /// All columns but the name, with the blanks between them.
  private var fixed: Int {
    var total = Self.badge + 1
    if hasBar { total += Self.bar + 1 }
    if hasSize { total += Self.size + 1 }
    if hasLag { total += Self.lag + 1 }
    if hasPace { total += Self.pace + 1 }
    return total
  }
}

extension String {
  fileprivate var droppingTrailingBlanks: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}

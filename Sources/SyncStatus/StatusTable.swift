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

  /// Stands before the name of a recording that a writer has open.
  static let openMark = "● "

  /// The lines of the table, without newlines.
  public func lines(_ overall: OverallStatus, _ recordings: [RecordingStatus], title: String) -> [String] {
    var lines = StatusHead(width: width).lines(overall, title: title)
    let sorted = Self.worstFirst(recordings)
    let shown = rowsMax.map { sorted.prefix(max(0, $0)) } ?? sorted[...]
    if !shown.isEmpty { lines.append("") }
    let columns = Columns(width: width, longestName: longestName(shown))
    for recording in shown {
      lines.append(row(recording, columns))
      if recording.destinations.isEmpty {
        if let error = recording.error { lines.append(cut("    " + PrintableText.line(error))) }
      } else if recording.state != .synced {
        lines += recording.destinations.map { cut("    → " + $0.line) }
      }
      if let note = Self.note(of: recording) { lines.append(cut("    " + note)) }
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

  /// What is to be said of whoever writes it.
  private static func note(of recording: RecordingStatus) -> String? {
    recording.stalledSeconds.map { "open, but nothing was written for \(DurationText.human($0))" }
  }

  private func row(_ recording: RecordingStatus, _ columns: Columns) -> String {
    let badge = Badge(of: recording)
    let mark = recording.isRecording ? Self.openMark : ""
    let name = DisplayWidth.fit(PrintableText.line(recording.pathText), to: columns.name - DisplayWidth.of(mark))
    var cells = [paint(DisplayWidth.fit(badge.text, to: Columns.badge), badge.colour), mark + name]
    if columns.hasBar { cells.append(paint(ProgressBar.text(recording.progress, width: Columns.bar), badge.colour)) }
    if columns.hasSize {
      let size = "\(ByteSize.human(recording.bytesSynced)) / \(ByteSize.human(recording.bytesWritten))"
      cells.append(right(size, Columns.size))
    }
    if columns.hasLag {
      cells.append(right(recording.lagSeconds > 0 ? DurationText.human(recording.lagSeconds) : "", Columns.lag))
    }
    let line = cells.joined(separator: " ")
    return width == nil ? line.droppingTrailingBlanks : line
  }

  private func longestName(_ shown: ArraySlice<RecordingStatus>) -> Int {
    var longest = 0
    for recording in shown {
      let mark = recording.isRecording ? DisplayWidth.of(Self.openMark) : 0
      longest = max(longest, DisplayWidth.of(PrintableText.line(recording.pathText)) + mark)
    }
    return longest
  }

  private func paint(_ text: String, _ colour: BadgeColour) -> String {
    usesColour ? colour.ansiStart + text + BadgeColour.ansiReset : text
  }

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
  /// Fewer columns of a name tell recordings apart no longer.
  static let nameMin = 12

  var name = 0
  var hasBar = true
  var hasSize = true
  var hasLag = true

  init(width: Int?, longestName: Int) {
    name = max(Self.nameMin, longestName)
    guard let width else { return }
    if width < fixed + Self.nameMin { hasLag = false }
    if width < fixed + Self.nameMin { hasBar = false }
    if width < fixed + Self.nameMin { hasSize = false }
    name = max(1, min(name, width - fixed))
  }

  /// All columns but the name, with the blanks between them.
  private var fixed: Int {
    var total = Self.badge + 1
    if hasBar { total += Self.bar + 1 }
    if hasSize { total += Self.size + 1 }
    if hasLag { total += Self.lag + 1 }
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

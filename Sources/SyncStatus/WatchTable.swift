public import UploadProtocol

/// The table of `reelfs status --watch`: besides what `StatusTable` shows, how fast each recording is stored and how long
/// it will take, with titles above the columns and a mark at the recording that keys act on. It fits a window: what lies
/// above and below is counted.
public struct WatchTable: Sendable {
  /// What two snapshots tell that one does not.
  public struct Pace: Sendable, Equatable {
    public var bytesPerSecond: Double
    /// Seconds until all is stored at this pace; nil: not to be told.
    public var secondsLeft: Double?
    public init(bytesPerSecond: Double, secondsLeft: Double?) {
      self.bytesPerSecond = bytesPerSecond
      self.secondsLeft = secondsLeft
    }

    var rateText: String { ByteSize.human(Int64(max(0, min(bytesPerSecond, 1e15)))) + "/s" }
  }

  public struct Paces: Sendable, Equatable {
    /// Of the recordings that are moving.
    public var recordings: [SessionID: Pace]
    /// Of the mount; nil while nothing moves.
    public var total: Pace?
    public init(recordings: [SessionID: Pace] = [:], total: Pace? = nil) {
      self.recordings = recordings
      self.total = total
    }
  }

  /// Columns of the terminal.
  public var width: Int
  /// Most lines that may be drawn.
  public var rows: Int
  public var usesColour: Bool

  public init(width: Int, rows: Int, usesColour: Bool) {
    self.width = width
    self.rows = rows
    self.usesColour = usesColour
  }

  /// - Parameters:
  ///   - recordings: in the order in which they are to be shown.
  ///   - selected: the recording with the mark; it is kept in sight.
  ///   - scroll: index of the first recording shown; kept from one drawing to the next, so that the table stands still.
  public func lines(
    _ overall: OverallStatus, _ recordings: [RecordingStatus], title: String, paces: Paces, selected: SessionID?,
    scroll: inout Int
  ) -> [String] {
    var lines = StatusHead(width: width).liveLines(overall, title: title, paces.total)
    // A head that leaves no room for a title and one recording is shortened.
    lines = Array(lines.prefix(max(1, rows - 4)))
    guard !recordings.isEmpty else { return lines }
    let columns = WatchColumns(width: width)
    lines += ["", cut(columns.titles)]
    let window = Window(
      heights: recordings.map { $0.error == nil ? 1 : 2 }, rows: max(1, rows - lines.count),
      mustShow: selected.flatMap { wanted in recordings.firstIndex { $0.session == wanted } }, first: scroll)
    scroll = window.range.lowerBound
    if window.isCut, window.range.lowerBound > 0 { lines.append(cut("… \(window.range.lowerBound) more above")) }
    for recording in recordings[window.range] {
      let pace = recording.session.flatMap { paces.recordings[$0] }
      lines.append(row(recording, columns, pace, isSelected: selected != nil && recording.session == selected))
      if let error = recording.error { lines.append(cut("    " + PrintableText.line(error))) }
    }
    let below = recordings.count - window.range.upperBound
    if below > 0 { lines.append(cut("… \(below) more below")) }
    return Array(lines.prefix(rows))
  }

  private func row(_ recording: RecordingStatus, _ columns: WatchColumns, _ pace: Pace?, isSelected: Bool) -> String {
    let badge = Badge(of: recording)
    let mark = recording.isRecording ? StatusTable.openMark : ""
    let name = DisplayWidth.fit(PrintableText.line(recording.pathText), to: columns.name - DisplayWidth.of(mark))
    let cells = columns.shown.map { column in
      switch column {
      case .badge: paint(columns.cell(badge.text, column), badge.colour)
      case .name: mark + name
      case .bar: paint(ProgressBar.text(recording.progress, width: columns.width(of: .bar)), badge.colour)
      case .size: columns.cell(ByteSize.part(recording.bytesSynced, of: recording.bytesWritten), column)
      case .rate: columns.cell(pace?.rateText ?? "", column)
      case .left: columns.cell(pace?.secondsLeft.map(DurationText.human) ?? "", column)
      case .lag: columns.cell(recording.lagSeconds > 0 ? DurationText.human(recording.lagSeconds) : "", column)
      }
    }
    return cut((isSelected ? "▸ " : "  ") + cells.joined(separator: " "))
  }

  private func paint(_ text: String, _ colour: BadgeColour) -> String {
    usesColour ? colour.ansiStart + text + BadgeColour.ansiReset : text
  }

  /// Only lines without colours are ever too wide: on a terminal of a dozen columns.
  private func cut(_ line: String) -> String {
    line.contains("\u{1B}") ? line : DisplayWidth.cut(line, to: width)
  }
}

/// Which rows of a table fit below each other.
struct Window: Equatable {
  /// Indices of what is shown.
  var range: Range<Int>
  /// Not all fits: lines that count the rest are needed, for which two rows are kept free.
  var isCut: Bool

  /// - Parameters:
  ///   - heights: lines that each entry takes.
  ///   - mustShow: the entry that has to be in sight.
  ///   - first: the entry to begin with, if `mustShow` allows it.
  init(heights: [Int], rows: Int, mustShow: Int?, first: Int) {
    isCut = heights.reduce(0, +) > rows
    guard isCut else {
      range = 0..<heights.count
      return
    }
    let room = max(1, rows - 2)
    var start = min(max(0, first), heights.count - 1)
    if let mustShow {
      start = min(start, mustShow)
      var taken = heights[start...mustShow].reduce(0, +)
      while taken > room, start < mustShow {
        taken -= heights[start]
        start += 1
      }
    }
    var end = start
    var taken = 0
    while end < heights.count, taken + heights[end] <= room {
      taken += heights[end]
      end += 1
    }
    // An entry higher than the room is shown as far as it fits.
    if end == start { end = start + 1 }
    // No gap at the end while something is hidden above.
    while end == heights.count, start > 0, taken + heights[start - 1] <= room {
      start -= 1
      taken += heights[start]
    }
    range = start..<end
  }
}

import Glibc
import SyncStatus

/// The line of `ProgressLine`, drawn over and over in the last line of a terminal.
struct ProgressDisplay {
  private let descriptor: Int32
  private var meter = PaceMeter()
  private var isShown = false

  /// nil where nothing can be drawn.
  init?(on descriptor: Int32) {
    guard Terminal.canDraw(on: descriptor) else { return nil }
    self.descriptor = descriptor
  }

  /// - Parameter overall: of now; without recordings the pace is that of the whole.
  mutating func show(_ overall: OverallStatus) {
    let snapshot = StatusSnapshot(overall: overall, recordings: [])
    meter.add(snapshot)
    let columns = Terminal.columns(of: descriptor) ?? 80
    // The last column stays free: some terminals begin a new line there.
    let line = ProgressLine.text(overall, pace: meter.paces(snapshot).total, width: columns - 1)
    guard line != nil || isShown else { return }
    Terminal.write(Terminal.lineStart + (line ?? ""), to: descriptor)
    isShown = line != nil
  }

  mutating func clear() {
    if isShown { Terminal.write(Terminal.lineStart, to: descriptor) }
    isShown = false
  }
}

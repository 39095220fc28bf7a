/// `█████▍░░░░`: a share of the whole, in eighths of a cell, so that a slow upload is seen to move.
public enum ProgressBar {
  /// - Parameters:
  ///   - progress: percent, 0 to 100; what lies outside counts as the nearer end.
  ///   - width: in cells.
  public static func text(_ progress: Int, width: Int) -> String {
    guard width > 0 else { return "" }
    let eighths = min(max(0, progress), 100) * width * 8 / 100
    var bar = String(repeating: "█", count: eighths / 8)
    if eighths % 8 > 0 { bar.append(["▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8 - 1]) }
    return bar + String(repeating: "░", count: width - bar.count)
  }
}

/// Turns whole screens into what must be written to a terminal: only the lines that changed, so that nothing flickers.
package struct Screen {
  /// Alternate screen, hidden cursor, no wrapping; `leave` gives back what was there before.
  package static let enter = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l\u{1B}[2J"
  package static let leave = "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

  private var shown: [String] = []
  private var size = (columns: 0, rows: 0)

  package init() {}

  /// What shows `lines` from the top; the rest of the window is empty. Another size, or the first screen, draws all.
  package mutating func change(to lines: [String], columns: Int, rows: Int) -> String {
    let lines = lines.prefix(rows) + Array(repeating: "", count: max(0, rows - lines.count))
    var text = ""
    if size != (columns, rows) {
      text = "\u{1B}[2J"
      shown = Array(repeating: "", count: rows)
      size = (columns, rows)
    }
    for (row, line) in lines.enumerated() where line != shown[row] {
      // Emptied first: after a line as wide as the window the cursor still stands on its last column.
      text += "\u{1B}[\(row + 1);1H\u{1B}[K\(line)"
    }
    shown = Array(lines)
    return text
  }

  /// After something else was on the screen.
  package mutating func forget() { size = (0, 0) }
}

/// The columns of `WatchTable`, and how wide each is: on a narrow terminal the least needed ones go first.
struct WatchColumns {
  enum Column: CaseIterable { case badge, name, bar, size, rate, left, lag }

  /// Fewer columns of a name tell recordings apart no longer.
  private static let nameMin = 10
  /// Before the first column: the mark of the selected recording.
  private static let mark = 2
  /// The bar says what the badge says as a number; time left follows from size and rate.
  private static let leastNeededFirst: [Column] = [.bar, .left, .rate, .lag, .size]

  let shown: [Column]
  let name: Int
  private let bar: Int

  init(width: Int) {
    bar = width >= 100 ? 16 : 8
    var shown = Column.allCases
    var fixed = Self.mark
    for column in Column.allCases where column != .name { fixed += Self.width(of: column, bar: bar) + 1 }
    for column in Self.leastNeededFirst where width < fixed + Self.nameMin {
      shown.removeAll { $0 == column }
      fixed -= Self.width(of: column, bar: bar) + 1
    }
    self.shown = shown
    name = max(1, width - fixed)
  }

  func width(of column: Column) -> Int { column == .name ? name : Self.width(of: column, bar: bar) }

  private static func width(of column: Column, bar: Int) -> Int {
    switch column {
    case .badge: 9
    case .name: 0
    case .bar: bar
    case .size: 17
    case .rate: 12
    case .left, .lag: 7
    }
  }

  var titles: String {
    let cells = shown.map { column in
      switch column {
      case .badge: cell("STATUS", column)
      case .name: DisplayWidth.fit("NAME", to: name)
      case .bar: cell("", column)
      case .size: cell("SAFE/WRITTEN", column)
      case .rate: cell("RATE", column)
      case .left: cell("LEFT", column)
      case .lag: cell("LAG", column)
      }
    }
    return DisplayWidth.cut(
      String(repeating: " ", count: Self.mark) + cells.joined(separator: " "), to: Self.mark + totalWidth)
  }

  private var totalWidth: Int { shown.reduce(-1) { $0 + width(of: $1) + 1 } }

  /// Numbers stand at the right of their column, words at its left.
  func cell(_ text: String, _ column: Column) -> String {
    let free = String(repeating: " ", count: max(0, width(of: column) - DisplayWidth.of(text)))
    switch column {
    case .badge, .name, .bar: return text + free
    case .size, .rate, .left, .lag: return free + text
    }
  }
}

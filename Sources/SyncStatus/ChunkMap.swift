/// Where the chunks of one recording are, drawn in at most `cellsMax` cells: a long recording has several chunks a cell,
/// which then shows the least safe of them.
public struct ChunkMap: Sendable, Equatable {
  /// From the least safe to the safest.
  public enum Place: UInt8, Sendable, CaseIterable, Comparable {
    case open, sealed, sending, stored, evicted

    public static func < (left: Place, right: Place) -> Bool { left.rawValue < right.rawValue }

    /// The name in JSON.
    public var name: String {
      switch self {
      case .open: "open"
      case .sealed: "sealed"
      case .sending: "sending"
      case .stored: "stored"
      case .evicted: "evicted"
      }
    }

    /// How a cell is written.
    var letter: UInt8 {
      switch self {
      case .open: UInt8(ascii: ".")
      case .sealed: UInt8(ascii: "=")
      case .sending: UInt8(ascii: ">")
      case .stored: UInt8(ascii: "#")
      case .evicted: UInt8(ascii: "-")
      }
    }
  }

  /// What a screen shows and a person can tell apart.
  public static let cellsMax = 512

  public let chunksTotal: Int
  /// At least 1; the last cell may have fewer.
  public let chunksPerCell: Int
  public private(set) var cells: [Place]
  /// Chunks in each place, by `Place.rawValue`.
  public private(set) var counts: [Int]
  /// Chunks told so far in each cell: one that was not told of is open.
  private var told: [Int]

  /// Every chunk is open until `add` says otherwise.
  public init(chunksTotal: Int) {
    self.chunksTotal = chunksTotal
    chunksPerCell = max(1, (chunksTotal + Self.cellsMax - 1) / Self.cellsMax)
    let count = (chunksTotal + chunksPerCell - 1) / chunksPerCell
    cells = Array(repeating: .evicted, count: count)
    told = Array(repeating: 0, count: count)
    counts = Array(repeating: 0, count: Place.allCases.count)
  }

  /// Call at most once a chunk; indexes beyond the recording's end are left out.
  public mutating func add(_ index: Int, _ place: Place) {
    guard (0..<chunksTotal).contains(index) else { return }
    counts[Int(place.rawValue)] += 1
    let cell = index / chunksPerCell
    cells[cell] = min(cells[cell], place)
    told[cell] += 1
  }

  /// `.status/<session id>.chunks`: one JSON object on one line. `cells` has a character a cell: `.` open, `=` sealed,
  /// `>` sending, `#` stored, `-` stored and evicted here.
  public func json(session: String, time: Double) -> [UInt8] {
    var json = JSONText()
    json.beginObject()
    json.add("schema_version", 1)
    json.add("time", Timestamp.milliseconds(time))
    json.add("session", session)
    json.add("chunks_total", chunksTotal)
    json.add("chunks_per_cell", chunksPerCell)
    json.beginObject("chunks")
    let toldAll = counts.reduce(0, +)
    for place in Place.allCases {
      json.add(place.name, counts[Int(place.rawValue)] + (place == .open ? chunksTotal - toldAll : 0))
    }
    json.endObject()
    json.add("cells", String(decoding: cells.indices.map(letter), as: UTF8.self))
    json.endObject()
    json.newline()
    return json.bytes
  }

  private func letter(_ cell: Int) -> UInt8 {
    let chunks = min(chunksPerCell, chunksTotal - cell * chunksPerCell)
    return (told[cell] < chunks ? .open : cells[cell]).letter
  }
}

/// Bandwidth by the time of day: `08:00,2M 18:00,off`, with weekdays where they matter (`Mon-08:00,512K`).
///
/// Each entry holds from its time on until the next entry's, round the week. What counts is the wall clock where the mount
/// runs: when clocks go forward over an entry it begins with the first minute after the gap, and when they go back the hour
/// that comes twice is treated alike both times.
public struct LimitSchedule: Sendable, Equatable {
  /// What holds from one moment of the week on.
  public struct Window: Sendable, Equatable {
    /// Minutes since Sunday, 00:00.
    public let minuteOfWeek: Int
    /// nil: no limit.
    public let bytesPerSecond: Int?

    public init(minuteOfWeek: Int, bytesPerSecond: Int?) {
      self.minuteOfWeek = minuteOfWeek
      self.bytesPerSecond = bytesPerSecond
    }
  }

  /// By their time in the week, each time once, not empty.
  private let windows: [Window]
  /// An entry for each quarter of an hour of a week; more is a slip.
  public static let entriesMax = 672

  /// - Throws: a sentence that quotes what is wrong and says what is allowed.
  public init(_ text: String) throws(TextError) {
    let entries = text.split { $0 == " " || $0 == "\t" || $0 == "\n" }
    guard !entries.isEmpty else { throw TextError("a schedule needs an entry such as 08:00,2M") }
    guard entries.count <= Self.entriesMax else { throw TextError("a schedule has at most \(Self.entriesMax) entries") }
    var rates: [Int: Int?] = [:]
    for entry in entries {
      let (minutes, rate) = try Self.parse(entry)
      for minute in minutes {
        guard rates[minute] == nil else { throw TextError("\"\(entry)\" is for a time that another entry has already") }
        rates[minute] = .some(rate)
      }
    }
    windows = rates.sorted { $0.key < $1.key }.map { Window(minuteOfWeek: $0.key, bytesPerSecond: $0.value) }
  }

  /// What holds at `time`.
  public func window(at time: LocalTime) -> Window {
    // Before the week's first entry its last one still holds.
    (windows.last { $0.minuteOfWeek <= time.minuteOfWeek } ?? windows.last) ?? Window(minuteOfWeek: 0, bytesPerSecond: nil)
  }

  /// The entry that follows on the one in force at `time`; the same one if there is no other.
  public func next(after time: LocalTime) -> Window {
    (windows.first { $0.minuteOfWeek > time.minuteOfWeek } ?? windows.first) ?? window(at: time)
  }

  private static func parse(_ entry: Substring) throws(TextError) -> (minutes: [Int], rate: Int?) {
    func wrong() -> TextError {
      TextError("\"\(entry)\" is not an entry of a schedule: write HH:MM,RATE or Mon-HH:MM,RATE, for example 08:00,2M or 18:00,off")
    }
    guard let comma = entry.firstIndex(of: ",") else { throw wrong() }
    var time = entry[..<comma]
    var days = Array(0..<LocalTime.days.count)
    if let dash = time.firstIndex(of: "-") {
      let name = time[..<dash].lowercased()
      guard let day = LocalTime.days.firstIndex(where: { $0.lowercased() == name }) else { throw wrong() }
      days = [day]
      time = time[time.index(after: dash)...]
    }
    let parts = time.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ (1...2).contains($0.count) && $0.allSatisfy(\.isASCIIDigit) }),
      let hour = Int(parts[0]), hour < 24, let minute = Int(parts[1]), minute < 60
    else { throw wrong() }
    let rate = try ByteSize.parseRate(String(entry[entry.index(after: comma)...]))
    return (days.map { ($0 * 24 + hour) * 60 + minute }, rate)
  }
}

/// What a clock on the wall shows, to the minute.
public struct LocalTime: Sendable, Equatable {
  /// Minutes since Sunday, 00:00; below 10,080.
  public let minuteOfWeek: Int

  /// - Parameter weekday: 0 is Sunday.
  public init(weekday: Int, hour: Int, minute: Int) {
    precondition((0..<7).contains(weekday) && (0..<24).contains(hour) && (0..<60).contains(minute), "a time on a clock")
    minuteOfWeek = (weekday * 24 + hour) * 60 + minute
  }

  static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]

  /// `Mon 08:00`.
  public static func text(minuteOfWeek: Int) -> String {
    func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(days[minuteOfWeek / 1_440 % 7]) \(padded(minuteOfWeek / 60 % 24)):\(padded(minuteOfWeek % 60))"
  }
}

/// Follows a schedule: says once for each window that its limit is to be set, so that a limit which a person sets holds until
/// the next window.
public struct ScheduleFollower: Sendable {
  public let schedule: LimitSchedule
  private var inForce: LimitSchedule.Window?

  public init(_ schedule: LimitSchedule) { self.schedule = schedule }

  /// - Returns: the window that has begun since the last call; nil if the same one is still in force.
  public mutating func begun(at time: LocalTime) -> LimitSchedule.Window? {
    let window = schedule.window(at: time)
    guard window != inForce else { return nil }
    inForce = window
    return window
  }
}

extension Character {
  fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}

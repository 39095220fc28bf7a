public import UploadProtocol

/// What `reelfs report` tells of a span of time: how requests ended, how fast they were, and which recordings had trouble.
public struct UploadReport: Sendable, Equatable {
  /// Requests of one hour that ended alike.
  public struct Hour: Sendable, Equatable {
    /// Since 1970, UTC.
    public var hour: Int64
    public var ending: String
    public var isFailure: Bool
    public var attempts: Int
    public var retries: Int
    public var chunks: Int
    public var bytes: Int64
    public var milliseconds: Int64

    public init(
      hour: Int64, ending: String, isFailure: Bool, attempts: Int, retries: Int, chunks: Int, bytes: Int64, milliseconds: Int64
    ) {
      self.hour = hour
      self.ending = ending
      self.isFailure = isFailure
      self.attempts = attempts
      self.retries = retries
      self.chunks = chunks
      self.bytes = bytes
      self.milliseconds = milliseconds
    }
  }

  /// A recording that had failures.
  public struct Trouble: Sendable, Equatable {
    public var path: [UInt8]
    public var session: SessionID
    /// `synced`, `failed`, or `pending`.
    public var state: String
    public var attempts: Int
    public var failures: Int
    public var inARowMax: Int
    public var lastAt: Double
    public var lastEnding: String
    public var lastMessage: String

    public init(
      path: [UInt8], session: SessionID, state: String, attempts: Int, failures: Int, inARowMax: Int, lastAt: Double,
      lastEnding: String, lastMessage: String
    ) {
      self.path = path
      self.session = session
      self.state = state
      self.attempts = attempts
      self.failures = failures
      self.inARowMax = inARowMax
      self.lastAt = lastAt
      self.lastEnding = lastEnding
      self.lastMessage = lastMessage
    }
  }

  public var title: String
  /// Seconds since 1970.
  public var from: Double
  public var to: Double
  public var hours: [Hour]
  /// The worst first.
  public var troubles: [Trouble]

  public init(title: String, from: Double, to: Double, hours: [Hour], troubles: [Trouble]) {
    self.title = title
    self.from = from
    self.to = to
    self.hours = hours
    self.troubles = troubles
  }

  // MARK: Sums

  public var attempts: Int { hours.reduce(0) { $0 + $1.attempts } }
  public var failures: Int { hours.reduce(0) { $0 + ($1.isFailure ? $1.attempts : 0) } }
  public var retries: Int { hours.reduce(0) { $0 + $1.retries } }
  public var chunks: Int { stored.reduce(0) { $0 + $1.chunks } }
  public var bytes: Int64 { stored.reduce(0) { $0 + $1.bytes } }
  /// Of all requests, those that did not fail; nil without any.
  public var successPercent: Double? { attempts == 0 ? nil : Double(attempts - failures) * 100 / Double(attempts) }

  private var stored: [Hour] { hours.filter { $0.ending == "stored" } }

  /// By ending, the most first.
  public var endings: [(ending: String, attempts: Int)] {
    var counts: [String: Int] = [:]
    for hour in hours { counts[hour.ending, default: 0] += hour.attempts }
    return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
  }

  /// An hour in which something was stored.
  public struct Pace: Sendable, Equatable {
    public let hour: Int64
    /// What a request took for a mebibyte.
    public let secondsPerMebibyte: Double
    public let bytes: Int64
    public let failures: Int
  }

  /// The hours in which a mebibyte took longest, at most so many; those with less than a mebibyte say nothing of the link.
  public func slowest(_ count: Int) -> [Pace] {
    let paces = stored.filter { $0.bytes >= 1 << 20 }.map { hour in
      Pace(
        hour: hour.hour, secondsPerMebibyte: Double(hour.milliseconds) / 1_000 / (Double(hour.bytes) / 1_048_576),
        bytes: hour.bytes, failures: failures(in: hour.hour))
    }
    return Array(paces.sorted { ($1.secondsPerMebibyte, $0.hour) < ($0.secondsPerMebibyte, $1.hour) }.prefix(count))
  }

  /// The hours with most failures, at most so many.
  public func worst(_ count: Int) -> [(hour: Int64, failures: Int, attempts: Int)] {
    let all = Dictionary(grouping: hours, by: \.hour).map { hour, endings in
      (hour: hour, failures: failures(in: hour), attempts: endings.reduce(0) { $0 + $1.attempts })
    }
    return Array(all.filter { $0.failures > 0 }.sorted { ($1.failures, $0.hour) < ($0.failures, $1.hour) }.prefix(count))
  }

  private func failures(in hour: Int64) -> Int {
    hours.reduce(0) { $0 + ($1.hour == hour && $1.isFailure ? $1.attempts : 0) }
  }
}

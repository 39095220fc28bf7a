/// When a child that died is started again. Pure: time comes in as an argument.
///
/// A child that served for `healthySeconds` has shown that it can, and is replaced at once; so is one that was ready and
/// then killed from outside (SIGKILL is never a crash of its own). One that dies sooner, again and again, waits longer each
/// time, so that a death on every start costs little. After `quickDeathsMax` deaths of itself in a row it is given up;
/// never for being killed: whoever does that, or the shortage of memory that does, ends some time, and until then callers
/// wait without an error.
public struct RestartPolicy: Sendable {
  /// A crash loop slower than this serves for most of the time.
  static let healthySeconds = 0.5
  static let firstDelaySeconds = 0.1
  static let delaySecondsMax = 5.0

  /// Deaths of itself in a row before giving up; nil: never.
  public var quickDeathsMax: Int?
  private var quickDeaths = 0
  /// Of the quick deaths, those that were kills.
  private var quickKills = 0

  public init(quickDeathsMax: Int?) { self.quickDeathsMax = quickDeathsMax }

  /// For the worker. Ten take about 16 seconds: long enough for a disk that is busy or an upgrade that is half done.
  public static let worker = RestartPolicy(quickDeathsMax: 10)
  /// For children without which the mount goes on.
  public static let helper = RestartPolicy(quickDeathsMax: nil)

  /// What killed it is out of the way: earlier quick deaths do not count.
  public mutating func forgive() { (quickDeaths, quickKills) = (0, 0) }

  public enum Decision: Equatable, Sendable {
    case restart(afterSeconds: Double)
    case giveUp
  }

  public enum Cause: Sendable { case ofItself, killedFromOutside }

  /// - Parameter servedSeconds: since the child said it was ready; nil if it never did.
  public mutating func childDied(_ cause: Cause, servedSeconds: Double?) -> Decision {
    if let servedSeconds, cause == .killedFromOutside || servedSeconds >= Self.healthySeconds {
      forgive()
      return .restart(afterSeconds: 0)
    }
    quickDeaths += 1
    if cause == .killedFromOutside { quickKills += 1 }
    if let quickDeathsMax, cause == .ofItself, quickDeaths - quickKills >= quickDeathsMax { return .giveUp }
    if quickDeaths == 1 { return .restart(afterSeconds: 0) }
    var delay = Self.firstDelaySeconds
    for _ in 2..<quickDeaths where delay < Self.delaySecondsMax { delay *= 2 }
    return .restart(afterSeconds: min(delay, Self.delaySecondsMax))
  }
}

/// Whether the worker is alive, and whether the service manager may hear so. Pure: time comes in as an argument, seconds
/// on any clock that only goes forward.
///
/// The manager ends the service when it hears nothing for its watchdog time W. It is told every W/2 that all is well, as
/// long as the worker has shown so within W/2 (`beats`, asked for every W/8). A worker that has not is replaced, with W/2
/// less one look left to do it in before the manager would end the mount with it.
package struct WorkerWatch {
  package enum Life: Equatable {
    /// Between two workers: how long is the restart policy's matter.
    case none
    case starting(since: Double)
    case serving(since: Double)
  }

  package struct Verdict: Equatable {
    package var asksForBeat = false
    package var tellsManager = false
    package var replaces = false
    package init() {}
  }

  /// Opening a journal after a crash takes seconds on a slow disk; a worker that takes longer than this hangs.
  package static let startSecondsMax = 120.0

  package let silenceSecondsMax: Double
  private let interval: Double
  package private(set) var nextAt: Double
  private var toldAt: Double
  private var beatAt: Double
  private var beats: UInt64 = 0
  private var replaced: Life?

  /// - Parameter watchdogSeconds: more than 0.
  package init(watchdogSeconds: Double, now: Double) {
    silenceSecondsMax = watchdogSeconds / 2
    interval = watchdogSeconds / 8
    (nextAt, toldAt, beatAt) = (now, now, now)
  }

  package mutating func look(now: Double, beats: UInt64, life: Life) -> Verdict {
    nextAt = now + interval
    if beats != self.beats { (self.beats, beatAt) = (beats, now) }
    var verdict = Verdict()
    let isAlive: Bool
    switch life {
    case .none: isAlive = true
    case .starting(let since): isAlive = now - since < Self.startSecondsMax
    case .serving(let since):
      isAlive = now - max(beatAt, since) < silenceSecondsMax
      verdict.asksForBeat = isAlive
    }
    if !isAlive, replaced != life {
      verdict.replaces = true
      replaced = life
    }
    // Half an interval early rather than a whole one late.
    if isAlive, now - toldAt >= silenceSecondsMax - interval / 2 {
      verdict.tellsManager = true
      toldAt = now
    }
    return verdict
  }
}

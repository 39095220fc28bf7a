import Foundation
import RecordingFS
import Spool
import Synchronization
import SyncStatus
import UploadCore
import UploadProtocol

/// Steers the uploader by what goes on around it: the time of day, the kind of connection, recorders that write no more. On
/// threads of its own, which wait for nothing but their own tools.
final class Steward: Sendable {
  struct Settings: Sendable, Equatable {
    /// Without a schedule; nil: none.
    var limit: Int?
    var limitSchedule: LimitSchedule?
    var pausesOnMetered = false
    /// nil: a recording never counts as stalled.
    var stallAfter: Span?

    init(_ configuration: MountConfiguration) {
      limit = configuration.policy.bytesPerSecondMax
      limitSchedule = configuration.limitSchedule
      pausesOnMetered = configuration.pausesOnMetered
      stallAfter = configuration.stallAfter
    }
  }

  private let state: Mutex<State>
  private let board: StatusBoard
  private let spool: Spool
  private let post: @Sendable (UploadEvent) -> Void
  private let tickers = Mutex<[Ticker]>([])

  private struct State {
    var settings: Settings
    var follower: ScheduleFollower?
    /// As it was told last; nil: not told yet.
    var wasMetered: Bool?
    var hasMissedNetworkManager = false
    /// Since when each recording is quiet whose stall was told.
    var toldStalls: [SessionID: Instant] = [:]

    init(_ settings: Settings) {
      self.settings = settings
      follower = settings.limitSchedule.map { ScheduleFollower($0) }
    }
  }

  /// A window begins at most so late.
  private static let tickSeconds = 2.0
  /// Between two looks at the connection: networks are changed by hand.
  private static let meteringSeconds = 15.0

  /// Nothing is steered before `start`.
  init(_ settings: Settings, spool: Spool, board: StatusBoard, post: @escaping @Sendable (UploadEvent) -> Void) {
    state = Mutex(State(settings))
    self.spool = spool
    self.board = board
    self.post = post
    board.countsAsStalled(after: settings.stallAfter?.seconds)
  }

  /// The first window is in force when this returns.
  func start() {
    followSchedule()
    tickers.withLock { tickers in
      tickers.append(
        Ticker("reelfs-steward") { [self] in
          followSchedule()
          lookForStalls()
          return Self.tickSeconds
        })
      tickers.append(
        Ticker("reelfs-metering") { [self] in
          lookAtConnection()
          return Self.meteringSeconds
        })
    }
  }

  func stop() { tickers.withLock { $0.forEach { $0.stop() } } }

  /// Settings changed under the running mount. A schedule that stayed the same goes on, and so does a limit set by hand in it.
  func adopt(_ settings: Settings) {
    let hadSchedule = state.withLock { state in
      let old = state.settings
      state.settings = settings
      if settings.limitSchedule != old.limitSchedule { state.follower = settings.limitSchedule.map { ScheduleFollower($0) } }
      return old.limitSchedule != nil
    }
    if hadSchedule, settings.limitSchedule == nil { post(.control(.limit(bytesPerSecond: settings.limit))) }
    board.countsAsStalled(after: settings.stallAfter?.seconds)
    followSchedule()
  }

  private func followSchedule() {
    let now = LocalClock.now()
    let (begun, until) = state.withLock { state -> (LimitSchedule.Window?, String?) in
      let begun = state.follower?.begun(at: now)
      return (begun, state.settings.limitSchedule.map { LocalTime.text(minuteOfWeek: $0.next(after: now).minuteOfWeek) })
    }
    board.limitHoldsUntil(until)
    if let begun { post(.control(.limit(bytesPerSecond: begun.bytesPerSecond))) }
  }

  /// Tells of each stall once.
  private func lookForStalls() {
    guard let stallAfter = state.withLock({ $0.settings.stallAfter }) else { return }
    let now = spool.clock.now
    var stalls: [SessionID: Instant] = [:]
    for recording in spool.openRecordings {
      if let since = recording.quietSince, now - since >= stallAfter { stalls[recording.session] = since }
    }
    let told = state.withLock { state in
      defer { state.toldStalls = stalls }
      return state.toldStalls
    }
    for (session, since) in stalls.sorted(by: { $0.key < $1.key }) where told[session] != since {
      post(.stalled(session, seconds: Int((now - since).seconds)))
    }
  }

  private func lookAtConnection() {
    let (isWanted, wasMetered) = state.withLock { ($0.settings.pausesOnMetered, $0.wasMetered) }
    guard isWanted || wasMetered == true else { return }
    let answer = isWanted ? Metering.ask() : .unmetered
    let isMetered = answer == .metered
    let isFirstMiss = state.withLock { state in
      state.wasMetered = isMetered
      defer { if answer == .nobodyKnows { state.hasMissedNetworkManager = true } }
      return answer == .nobodyKnows && !state.hasMissedNetworkManager
    }
    if isFirstMiss {
      Terminal.complain(
        "--pause-on-metered: NetworkManager does not answer (busctl get-property … Metered); uploads go on over any connection")
    }
    if isMetered != (wasMetered ?? false) { post(.control(.metered(isMetered))) }
  }
}

extension Span {
  var seconds: Double { Double(nanoseconds) / 1e9 }
}

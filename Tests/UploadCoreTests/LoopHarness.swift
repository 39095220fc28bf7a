import UploadCore
import UploadProtocol

/// The world of an `UploadLoop`, by hand: what happened is written to `log` in the order in which it happened.
final class LoopWorld {
  var now = Instant(nanoseconds: 0)
  var log: [String] = []
  var inbox: [UploadEvent] = []
  var reports: [UploadEvent] = []
  var started: [Transfer] = []
  var facts: [JournalFact] = []
  /// Recorded.
  var attempts: [UploadAttempt] = []
  var published: [UploadAttempt] = []
  var journalFails = false
  /// What `load` says instead of a payload.
  var loads: [UploadRequest: [TransferOutcome]] = [:]
  var pollDeadlines: [Instant?] = []
  var notices: [UploadNotice] = []
  var summary = UploadSummary()

  func makeLoop(_ configure: (inout UploadPolicy) -> Void = { _ in }) -> TestLoop {
    var policy = UploadPolicy()
    configure(&policy)
    return TestLoop(
      scheduler: UploadScheduler(policy: policy, generator: SplitMix64(seed: 1)),
      clock: WorldClock(world: self), journal: WorldPort(world: self), source: WorldPort(world: self),
      transport: WorldPort(world: self), inbox: WorldPort(world: self), sink: WorldPort(world: self))
  }
}

typealias TestLoop = UploadLoop<WorldClock, WorldPort, WorldPort, WorldPort, WorldPort, WorldPort>

struct WorldClock: MonotonicClock, @unchecked Sendable {
  // Used on one thread only, like the loop.
  let world: LoopWorld
  var now: Instant { world.now }
}

struct WorldPort: UploadJournal, TransferSource, UploadTransport, EventInbox, StatusSink {
  let world: LoopWorld

  mutating func record(_ facts: [JournalFact]) throws(JournalError) {
    world.log.append("record")
    if world.journalFails { throw JournalError("disk full") }
    for fact in facts {
      if case .attempted(let attempt) = fact { world.attempts.append(attempt) } else { world.facts.append(fact) }
    }
  }

  mutating func load(_ request: UploadRequest) -> LoadedTransfer<UploadRequest> {
    if var outcomes = world.loads[request], !outcomes.isEmpty {
      let outcome = outcomes.removeFirst()
      world.loads[request] = outcomes
      return .outcome(outcome)
    }
    return .payload(request)
  }

  mutating func start(_ transfer: Transfer, _ payload: UploadRequest) {
    world.log.append("start")
    world.started.append(transfer)
  }

  mutating func cancel(_ id: TransferID) { world.log.append("cancel \(id.number)") }

  mutating func poll(until deadline: Instant?) -> [UploadEvent] {
    world.pollDeadlines.append(deadline)
    defer { world.reports = [] }
    return world.reports
  }

  mutating func drain(now: Instant) -> [UploadEvent] {
    defer { world.inbox = [] }
    return world.inbox
  }

  var deadline: Instant? { nil }

  mutating func publish(_ notices: [UploadNotice], _ attempts: [UploadAttempt], _ summary: UploadSummary) {
    if !notices.isEmpty { world.log.append("publish") }
    world.notices += notices
    world.published += attempts
    world.summary = summary
  }
}

extension LoopWorld {
  func restored(_ number: Int64, pending: [Range<Int>]) -> UploadEvent {
    .restored(
      session(number),
      RestoredSession(
        facts: UploadCoreTests.facts(session(number)), pending: pending, isAnnounced: true, isFinished: false,
        isSynced: false, failure: nil, priority: .normal, isHeld: false))
  }
}

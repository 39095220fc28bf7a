import UploadCore
import UploadProtocol

/// Everything outside of the uploader: files, journal, network, receiver, people. Single-threaded; what other threads
/// would do happens while the loop polls, or in between its calls (`interleave`).
final class SimulatedWorld {
  let clock = SimulatedClock()
  var generator: SplitMix64
  let weights: Weights
  let policy: UploadPolicy
  var trace: Trace
  var checker = Checker()

  var files: [SessionID: SimulatedFile] = [:]
  /// In the order of creation: dictionaries have none.
  var sessions: [SessionID] = []
  var created: Int64 = 0
  var stamps: UInt64 = 0
  var journal = SimulatedJournal()
  var receiver = SimulatedReceiver()
  var mail: [UploadEvent] = []

  /// Requests on their way, in the order of starting.
  var active: [ActiveRequest] = []
  var reports: [UploadEvent] = []
  var unreachableUntil = Instant(nanoseconds: 0)
  /// During an outage: no answer at all, or a refusal at once.
  var isBlackHole = false
  var journalFailsUntil = Instant(nanoseconds: 0)

  /// Counts processes: what belongs to a killed one is void.
  var process = 1
  var isDead = false
  /// Port calls until a kill in the middle of a turn; nil: none planned.
  var callsToLive: Int?
  var isHealed = false
  /// People asked for a pause last.
  var isPaused = false
  var lastRelease = Instant(nanoseconds: 0)
  var actionsLeft: Int

  struct ActiveRequest {
    let transfer: Transfer
    let payload: SimulatedPayload
  }

  enum Happening {
    case action
    case arrival(SimulatedPayload, answering: TransferID?, after: Span)
    case answer(TransferID, TransferOutcome)
    case progress(TransferID)
  }

  private struct Appointment {
    let moment: Instant
    let process: Int
    let happening: Happening
  }

  /// Latest first, a few dozen; of the same moment the one made first comes first.
  private var agenda: [Appointment] = []

  init(seed: UInt64, isTraced: Bool) {
    generator = SplitMix64(seed: seed)
    weights = Weights(using: &generator)
    actionsLeft = weights.actionsMax
    trace = Trace(isWritten: isTraced)
    var policy = UploadPolicy()
    policy.parallel = [1, 2, 4, 4][Int.random(in: 0..<4, using: &generator)]
    self.policy = policy
    schedule(.action, after: .zero)
  }

  var now: Instant { clock.now }

  func note(_ text: @autoclosure () -> String, _ numbers: Int64...) {
    // One call a number keeps the variadic array out of the trace's interface.
    for number in numbers { trace.mix(UInt64(bitPattern: number)) }
    trace.note(at: now.nanoseconds, text())
  }

  func post(_ event: UploadEvent) { mail.append(event) }

  func schedule(_ happening: Happening, after delay: Span) {
    let moment = now + delay
    let place = agenda.firstIndex { $0.moment <= moment } ?? agenda.count
    agenda.insert(Appointment(moment: moment, process: process, happening: happening), at: place)
  }

  /// Lets the world go on until somebody has news for the uploader, or until `deadline`.
  func run(until deadline: Instant?) {
    let start = now
    checker.sleptForEver = false
    while reports.isEmpty, mail.isEmpty, !isDead, checker.violation == nil {
      guard let next = agenda.last, deadline.map({ next.moment < $0 }) ?? true else {
        // Nothing will ever happen: a loop that sleeps for ever is fine only if all is done.
        if let deadline { clock.advance(to: deadline) } else { checker.sleptForEver = true }
        break
      }
      agenda.removeLast()
      clock.advance(to: next.moment)
      perform(next.happening, of: next.process)
    }
    checker.polled(isIdle: reports.isEmpty && mail.isEmpty && now == start, deadline: deadline)
  }

  private func perform(_ happening: Happening, of process: Int) {
    switch happening {
    case .action:
      guard !isHealed, actionsLeft > 0 else { return }
      actionsLeft -= 1
      act()
      schedule(.action, after: generator.span(upTo: weights.pauseMax))
    case .arrival(let payload, let id, let delay):
      arrive(payload, answering: process == self.process ? id : nil, after: delay)
    case .answer(let id, let outcome):
      if process == self.process { answer(id, outcome) }
    case .progress(let id):
      guard process == self.process, active.contains(where: { $0.transfer.id == id }) else { return }
      reports.append(.progressed(id, bytes: 4_096))
      schedule(.progress(id), after: .seconds(10))
    }
  }

  /// What another thread does between two steps of the uploader.
  func interleave() {
    if let calls = callsToLive {
      callsToLive = calls > 0 ? calls - 1 : nil
      if calls == 0 { kill() }
    }
    guard !isDead, !isHealed, generator.percent(weights.interleavePercent) else { return }
    recorderActs()
  }
}

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
  /// Of seeds whose destination takes single chunks.
  var receiver = SimulatedReceiver()
  var destination: SimulatedDestination
  /// Of a hundred small recordings that arrive whole the receiver refuses so many.
  private let refusedPercent: Int
  var mail: [UploadEvent] = []

  /// Requests on their way, in the order of starting.
  var active: [ActiveRequest] = []
  /// Answers that the receiver gives once it has synced.
  var waitingAnswers: [(id: TransferID, outcome: TransferOutcome, after: Span)] = []
  /// Requests of transfers that need several.
  var exchanges: [TransferID: Exchange] = [:]
  var exchangeCount: UInt64 = 0
  var reports: [UploadEvent] = []
  var unreachableUntil = Instant(nanoseconds: 0)
  /// During an outage: no answer at all, or a refusal at once.
  var isBlackHole = false
  /// The uplink is busy until then.
  var linkFreeAt = Instant(nanoseconds: 0)
  var receiverFullUntil = Instant(nanoseconds: 0)

  var journalFailsUntil = Instant(nanoseconds: 0)
  /// Not synced when the power went, and not since: nothing of them is evicted.
  var doubted: Set<SessionID> = []
  var diskFullUntil = Instant(nanoseconds: 0)
  /// Sectors that cannot be read for a while.
  var unreadable: (chunk: ChunkID, until: Instant)?

  /// Counts processes: what belongs to a killed one is void.
  var process = 1
  var isDead = false
  /// Port calls until a kill in the middle of a turn; nil: none planned.
  var callsToLive: Int?
  /// So many of the next processes die young.
  var killsLeft = 0
  /// Faults have stopped since.
  var healedAt: Instant?
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
    case receiverSync
    case receiverCrash
    case answer(TransferID, TransferOutcome)
    /// An answer that somebody gives once more.
    case echo(TransferID, TransferOutcome)
    /// Bytes have moved, and will again until the given moment.
    case progress(TransferID, until: Instant)
    case fetched(ChunkID, ChunkDigest?)
    case exchangeArrives(ServerRequest, TransferID, UInt64, after: Span?)
    /// The connection breaks while the request is on its way.
    case exchangeBreaks(ServerRequest, TransferID, UInt64)
    /// The request arrives once more, when nobody waits for it.
    case exchangeEchoes(ServerRequest)
    case exchangeAnswered(TransferID, UInt64, ServerAnswer)
  }

  private struct Appointment {
    let moment: Instant
    let process: Int
    let happening: Happening
  }

  /// Latest first, a few dozen; of the same moment the one made first comes first.
  private var agenda: [Appointment] = []

  init(seed: UInt64, kind: DestinationKind, isTraced: Bool) {
    generator = SplitMix64(seed: seed)
    weights = Weights(using: &generator)
    actionsLeft = weights.actionsMax
    trace = Trace(isWritten: isTraced)
    var policy = UploadPolicy()
    policy.parallel = [1, 2, 4, 4][Int.random(in: 0..<4, using: &generator)]
    destination = SimulatedDestination(kind, using: &generator)
    policy.geometry = destination.geometry
    checker.isAppending = kind == .appended
    // By a generator of its own, so that the other seeds stay what they were.
    var rounds = SplitMix64(seed: seed ^ 0x726F_756E_6473)
    if rounds.percent(12) { policy.syncEvery = .seconds(Int64.random(in: 5...120, using: &rounds)) }
    // The same for small recordings; some seeds have larger ones than the real uploader, so that many travel whole.
    var wholes = SplitMix64(seed: seed ^ 0x77_686F_6C65_73)
    let wholeBytesMax = [0, 64 << 10, 64 << 10, ChunkLayout.chunkBytes][Int.random(in: 0..<4, using: &wholes)]
    if kind == .chunks { policy.wholeBytesMax = wholeBytesMax }
    receiver.takesRecordings = wholes.percent(85)
    refusedPercent = wholes.percent(50) ? 0 : 20
    self.policy = policy
    schedule(.action, after: .zero)
  }

  /// Of a batch, what the receiver takes today: a name it cannot keep, damage on the way.
  func accepted(_ payload: SimulatedPayload) -> SimulatedPayload {
    guard case .recordings(let batch) = payload, !isHealed, refusedPercent > 0 else { return payload }
    return .recordings(batch.filter { _ in !generator.percent(refusedPercent) })
  }

  var now: Instant { clock.now }
  var isHealed: Bool { healedAt != nil }

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
    case .action: nextAction()
    case .arrival(let payload, let id, let delay):
      arrive(payload, answering: process == self.process ? id : nil, after: delay)
    case .receiverSync: syncReceiver()
    case .receiverCrash: if !isHealed { crashReceiver() }
    case .answer(let id, let outcome): if process == self.process { answer(id, outcome) }
    case .echo(let id, let outcome):
      guard process == self.process, !active.contains(where: { $0.transfer.id == id }) else { return }
      reports.append(.transferred(id, outcome))
    case .progress(let id, let end):
      guard process == self.process, active.contains(where: { $0.transfer.id == id }) else { return }
      reports.append(.progressed(id, bytes: 4_096))
      checker.moved(id, at: now)
      if now < end { schedule(.progress(id, until: end), after: .seconds(10)) }
    case .fetched(let chunk, let held): if process == self.process { fetched(chunk, held) }
    case .exchangeEchoes(let request): _ = destination.answer(request)
    case .exchangeArrives(let request, let id, let number, let delay):
      if process == self.process { exchangeArrives(request, id, number, after: delay) }
    case .exchangeBreaks(let request, let id, let number):
      if process == self.process { exchangeBreaks(request, id, number) }
    case .exchangeAnswered(let id, let number, let answer):
      if process == self.process { exchangeAnswered(id, number, answer) }
    }
  }

  /// One thing that somebody does; in peace only recorders are left.
  private func nextAction() {
    guard actionsLeft > 0 else { return }
    actionsLeft -= 1
    if isHealed { recorderActs() } else { act() }
    guard actionsLeft > 0 else { return }
    schedule(.action, after: generator.span(upTo: isHealed ? .seconds(40) : weights.pauseMax))
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

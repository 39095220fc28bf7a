/// Runs the scheduler: collects what happened, decides, records, then acts. One thread calls all of it.
///
/// Order within a turn: all facts in one transaction, only then the transfers of that turn, only then the notices. So
/// nothing is sent, and nobody is told, what a crash could make us forget.
public struct UploadLoop<
  Clock: MonotonicClock, Journal: UploadJournal, Source: TransferSource, Transport: UploadTransport,
  Inbox: EventInbox, Sink: StatusSink
> where Source.Payload == Transport.Payload {
  /// Events of the inbox handled in one turn: keeps a turn, and its transaction, to some milliseconds.
  static var eventsMax: Int { 4_096 }
  /// Rounds of starting in one turn: each may end at once (`.stale`) and let the scheduler start something else.
  static var roundsMax: Int { 8 }
  /// Facts kept while the journal fails; beyond, the inbox is left alone until it works again. 64 Ki facts of ~100 bytes.
  static var unrecordedMax: Int { 65_536 }
  /// Attempts that ended are recorded with the next facts, or alone when the first of them is so old.
  static var attemptsAge: Span { .seconds(60) }
  /// Of them, so many are kept for that.
  static var attemptsMax: Int { 4_096 }
  /// Between attempts to write a journal that fails.
  static var journalPause: Span { .seconds(1) }

  public private(set) var scheduler: UploadScheduler
  let clock: Clock
  var journal: Journal
  var source: Source
  var transport: Transport
  var inbox: Inbox
  var sink: Sink

  /// Drained from the inbox, not handled yet; `backlogStart` is the first of them.
  private var backlog: [UploadEvent] = []
  private var backlogStart = 0
  /// In order, not in the journal yet.
  private var unrecorded: [JournalFact] = []
  private var journalError: String?
  private var journalRetry: Instant?
  /// Decided, but not started: their facts come first. At most `policy.parallel`.
  private var unstarted: [Transfer] = []
  /// Ended, not in the journal yet, and since when the first of them waits.
  private var attempts: [UploadAttempt] = []
  private var attemptsSince: Instant?
  /// Ended in this turn.
  private var attemptsOfTurn: [UploadAttempt] = []
  /// Told once the facts they rest on are recorded.
  private var unpublished: [UploadNotice] = []

  public init(
    scheduler: UploadScheduler, clock: Clock, journal: Journal, source: Source, transport: Transport,
    inbox: Inbox, sink: Sink
  ) {
    self.scheduler = scheduler
    self.clock = clock
    self.journal = journal
    self.source = source
    self.transport = transport
    self.inbox = inbox
    self.sink = sink
  }

  /// Runs turns until `isStopping` says so, then `stop()`s. Whoever makes it true must wake the transport.
  public mutating func run(until isStopping: () -> Bool) {
    while !isStopping() { turn() }
    stop()
  }

  /// Waits until something happens or is due, and deals with it.
  public mutating func turn() {
    let reports = transport.poll(until: deadline)
    let now = clock.now
    collect(now)
    // Recorders' news before answers: an answer about a chunk that has changed is then known to be old.
    let count = min(Self.eventsMax, backlog.count - backlogStart)
    decide(backlog[backlogStart..<backlogStart + count] + reports, now)
    backlogStart += count
    act(now)
    publish()
  }

  /// Ends the attempts in flight and records what is known. The journal then says everything that a next start needs.
  /// - Returns: false if the journal could not be written; what it lacks is then found in the spool again.
  @discardableResult
  public mutating func stop() -> Bool {
    let now = clock.now
    // What is left of the last drain, then what came since.
    for _ in 0..<2 {
      decide(backlog[backlogStart...], now)
      backlogStart = backlog.count
      collect(now)
    }
    journalRetry = nil
    let isRecorded = record(now, isLast: true)
    for id in scheduler.inFlight where !unstarted.contains(where: { $0.id == id }) { transport.cancel(id) }
    unstarted = []
    publish()
    return isRecorded
  }

  /// nil: for ever.
  private var deadline: Instant? {
    if backlogStart < backlog.count || (!unstarted.isEmpty && journalError == nil) { return clock.now }
    return [scheduler.deadline, inbox.deadline, journalRetry].compactMap { $0 }.min()
  }

  /// Fills the backlog from the inbox once it is empty.
  private mutating func collect(_ now: Instant) {
    guard backlogStart == backlog.count else { return }
    backlogStart = 0
    backlog = unrecorded.count < Self.unrecordedMax ? inbox.drain(now: now) : []
  }

  private mutating func decide(_ events: some Sequence<UploadEvent>, _ now: Instant) {
    // The time of what has not been started does not run.
    let waiting = unstarted.map { UploadEvent.progressed($0.id, bytes: 0) }
    apply(scheduler.handle(waiting + events, at: now))
    keepAttempts(now)
    unstarted = scheduler.stillToStart(unstarted)
  }

  private mutating func keepAttempts(_ now: Instant) {
    let ended = scheduler.takeAttempts()
    guard !ended.isEmpty else { return }
    attemptsOfTurn += ended
    attempts += ended.prefix(Self.attemptsMax - attempts.count)
    attemptsSince = attemptsSince ?? now
  }

  private mutating func apply(_ effects: [UploadEffect]) {
    for effect in effects {
      switch effect {
      case .record(let fact): unrecorded.append(fact)
      case .start(let transfer): unstarted.append(transfer)
      case .announce(let notice): unpublished.append(notice)
      case .cancel(let id):
        if let place = unstarted.firstIndex(where: { $0.id == id }) {
          unstarted.remove(at: place)
        } else {
          transport.cancel(id)
        }
      }
    }
  }

  /// Records, then starts; what ends at once goes back to the scheduler.
  private mutating func act(_ now: Instant) {
    for _ in 0..<Self.roundsMax {
      guard record(now), !unstarted.isEmpty else { return }
      let transfers = unstarted
      unstarted = []
      var outcomes: [UploadEvent] = []
      for transfer in transfers {
        switch source.load(transfer.request) {
        case .payload(let payload): transport.start(transfer, payload)
        case .outcome(let outcome): outcomes.append(.transferred(transfer.id, outcome))
        }
      }
      decide(outcomes, now)
    }
    _ = record(now)
  }

  /// - Returns: whether everything decided so far is in the journal.
  private mutating func record(_ now: Instant, isLast: Bool = false) -> Bool {
    let attemptsAreDue = attemptsSince.map { isLast || $0 + Self.attemptsAge <= now } ?? false
    guard !unrecorded.isEmpty || attemptsAreDue else {
      scheduler.forgetSettled()
      return true
    }
    if let journalRetry, now < journalRetry { return false }
    do {
      try journal.record(unrecorded + attempts.map(JournalFact.attempted))
      unrecorded = []
      attempts = []
      attemptsSince = nil
      scheduler.forgetSettled()
      journalError = nil
      journalRetry = nil
      return true
    } catch {
      journalError = error.message
      journalRetry = now + Self.journalPause
      return false
    }
  }

  private mutating func publish() {
    var summary = scheduler.summary
    summary.journalError = journalError
    let notices = journalError == nil ? unpublished : []
    if journalError == nil { unpublished = [] }
    sink.publish(notices, attemptsOfTurn, summary)
    attemptsOfTurn = []
  }
}

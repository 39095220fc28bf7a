import UploadCore

/// The ports of the real `UploadLoop`, all of them onto one simulated world. A killed process does nothing any more: its
/// calls have no effect until the loop returns and is thrown away.
struct SimulatedPorts: UploadJournal, TransferSource, UploadTransport, EventInbox, StatusSink {
  let world: SimulatedWorld

  mutating func record(_ facts: [JournalFact]) throws(JournalError) {
    world.interleave()
    if world.journal.isFailing, world.now >= world.journalFailsUntil { world.journal.isFailing = false }
    guard !world.isDead, !world.journal.isFailing else { throw JournalError("no space left") }
    world.note("▪ \(facts)", Int64(facts.count))
    world.journal.commit(.facts(facts), at: world.now)
    for fact in facts { world.checker.recorded(fact, world) }
    world.interleave()
  }

  mutating func load(_ request: UploadRequest) -> LoadedTransfer<SimulatedPayload> {
    world.interleave()
    guard !world.isDead else { return .outcome(.stale) }
    let loaded = world.load(request)
    if case .outcome(let outcome) = loaded { world.checker.unread(outcome, request, at: world.now) }
    return loaded
  }

  mutating func start(_ transfer: Transfer, _ payload: SimulatedPayload) {
    world.interleave()
    if !world.isDead { world.start(transfer, payload) }
  }

  mutating func cancel(_ id: TransferID) {
    if !world.isDead { world.cancel(id) }
  }

  mutating func poll(until deadline: Instant?) -> [UploadEvent] {
    world.run(until: deadline)
    defer { world.reports = [] }
    return world.reports
  }

  mutating func drain(now: Instant) -> [UploadEvent] {
    guard !world.isDead else { return [] }
    world.sealDue()
    defer { world.mail = [] }
    return world.introducing(world.mail)
  }

  var deadline: Instant? { world.nextSeal }

  mutating func publish(_ notices: [UploadNotice], _ attempts: [UploadAttempt], _ summary: UploadSummary) {
    if !world.isDead { world.checker.published(notices, summary, world) }
  }
}

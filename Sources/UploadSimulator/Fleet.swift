import HeapModule
public import UploadCore
import UploadProtocol

/// Many machines, each with the real scheduler, and one receiver that goes away and comes back.
///
/// Every machine seals a chunk every `period`; the receiver carries out `capacity` requests a second, one after the other,
/// and answers 503 with Retry-After when more than `waitingMax` wait. What is measured begins with its
/// return: whether the machines come as a herd, how much of the traffic leads nowhere, and whether all get their share.
public struct Fleet {
  public struct Setup: Sendable {
    public var clients = 10_000
    public var seed: UInt64 = 1
    /// Requests a second; a probe costs a tenth of one.
    public var capacity = 2_000
    /// Between two chunks of one machine: 0.8 Mbit/s each.
    public var period = Span.seconds(10)
    public var outage = Span.seconds(300)
    /// Requests waiting at the receiver from which on it refuses more; nil: it lets everybody wait. Number and Retry-After
    /// are those of `reelfs receive`.
    public var waitingMax: Int? = 128
    public var retryAfter = Span.seconds(1)
    /// Before the outage.
    public var calm = Span.seconds(60)

    public init() {}
  }

  /// All of it from the receiver's return on.
  public struct Report: Sendable, Equatable {
    public var clients = 0
    public var capacityPerSecond = 0
    /// Arrivals in the busiest second, probes among them.
    public var peakRequestsPerSecond = 0
    public var peakProbesPerSecond = 0
    public var requests = 0
    /// Requests that stored, announced or completed nothing.
    public var futile = 0
    /// Seconds until every machine had stored something, and until none had more than one chunk waiting.
    public var everybodyServed = 0.0
    public var drained = 0.0
    /// Jain's index of the chunks stored for each machine while the first half of the backlog was stored: 1 is perfectly
    /// even, 1/n is one machine alone.
    public var fairness = 0.0

    public var futileShare: Double { requests == 0 ? 0 : Double(futile) / Double(requests) }
  }

  private enum Happening: Sendable {
    case sealed
    case wake(Instant)
    case arrives(Transfer)
    case ends(TransferID, TransferOutcome)
  }

  private struct Appointment: Comparable, Sendable {
    let moment: Instant
    let number: UInt64
    let client: Int
    let happening: Happening

    static func == (left: Appointment, right: Appointment) -> Bool { left.number == right.number }
    static func < (left: Appointment, right: Appointment) -> Bool {
      (left.moment, left.number) < (right.moment, right.number)
    }
  }

  private struct Client {
    var scheduler: UploadScheduler
    let session: SessionID
    var next = 0
    var stored = 0
    var storedSinceReturn = 0
    var wakesAt: Instant?
    var cancelled: Set<TransferID> = []
    var waiting: Int { next - stored }
  }

  private let setup: Setup
  private var clients: [Client] = []
  private var agenda = Heap<Appointment>()
  private var numbers: UInt64 = 0
  private var generator: SplitMix64
  /// When the receiver has done all it has accepted.
  private var freeAt = Instant(nanoseconds: 0)
  private var report = Report()
  private var arrivals: [Int64: (all: Int, probes: Int)] = [:]
  private var unserved: Int
  private var behind = 0
  private var halfBacklog = Int.max
  private var storedSinceReturn = 0

  /// One way through the network.
  private static let latency = Span.milliseconds(20)
  /// Machines that have not caught up after so long never will: more is sealed than the receiver can take.
  private static let patience = Span.seconds(7_200)

  private init(_ setup: Setup) {
    self.setup = setup
    generator = SplitMix64(seed: setup.seed)
    unserved = setup.clients
    for number in 0..<setup.clients {
      let session = SessionID(number: Int64(number))
      clients.append(
        Client(
          scheduler: UploadScheduler(policy: UploadPolicy(), generator: SplitMix64(seed: generator.next())),
          session: session))
    }
  }

  private var leaves: Instant { Instant(nanoseconds: 0) + setup.calm }
  private var returns: Instant { leaves + setup.outage }

  /// Deterministic: the same setup gives the same report.
  public static func run(_ setup: Setup) -> Report {
    var fleet = Fleet(setup)
    fleet.run()
    return fleet.report
  }

  private mutating func run() {
    let start = Instant(nanoseconds: 0)
    for place in clients.indices {
      let facts = SessionFacts(path: [UInt8(ascii: "a")], inode: UInt64(place))
      let known = RestoredSession(
        facts: facts, pending: [], isAnnounced: true, isFinished: false, isSynced: false, failure: nil, priority: .normal,
        isHeld: false)
      tell(place, .restored(clients[place].session, known), at: start)
      let phase = Int64.random(in: 0..<setup.period.nanoseconds, using: &generator)
      schedule(place, .sealed, at: Instant(nanoseconds: phase))
    }
    var isBack = false
    while let next = agenda.popMin() {
      if !isBack, next.moment >= returns {
        isBack = true
        freeAt = returns
        behind = clients.count { $0.waiting > 1 }
        halfBacklog = clients.reduce(0) { $0 + $1.waiting } / 2
      }
      if isBack, unserved == 0, behind == 0 { break }
      guard next.moment < returns + Self.patience else { break }
      perform(next)
    }
    summarize()
  }

  private mutating func perform(_ next: Appointment) {
    let (place, now) = (next.client, next.moment)
    switch next.happening {
    case .sealed:
      let chunk = ChunkID(clients[place].session, clients[place].next)
      clients[place].next += 1
      if now >= returns, clients[place].waiting == 2 { behind += 1 }
      schedule(place, .sealed, at: now + setup.period)
      tell(place, .sealed(chunk, .first, bytes: ChunkLayout.chunkBytes), at: now)
    case .wake(let moment):
      guard clients[place].wakesAt == moment else { return }
      clients[place].wakesAt = nil
      tell(place, .timePassed, at: now)
    case .arrives(let transfer): arrive(transfer, of: place, at: now)
    case .ends(let id, let outcome):
      guard clients[place].cancelled.remove(id) == nil else { return }
      tell(place, .transferred(id, outcome), at: now)
    }
  }

  /// The receiver's side of one request.
  private mutating func arrive(_ transfer: Transfer, of place: Int, at now: Instant) {
    let isProbe = transfer.request == .probe
    if now >= returns {
      let second = (now - returns).nanoseconds / 1_000_000_000
      arrivals[second, default: (0, 0)].all += 1
      if isProbe { arrivals[second, default: (0, 0)].probes += 1 }
      report.requests += 1
    }
    guard now < leaves || now >= returns else {
      return schedule(place, .ends(transfer.id, .unreachable("refused")), at: now + Self.latency)
    }
    let cost = Span(nanoseconds: 1_000_000_000 / Int64(setup.capacity) / (isProbe ? 10 : 1))
    freeAt = max(freeAt, now)
    if let limit = setup.waitingMax, !isProbe, (freeAt - now).nanoseconds > Int64(limit) * cost.nanoseconds {
      if now >= returns { report.futile += 1 }
      return schedule(place, .ends(transfer.id, .throttled("503", after: setup.retryAfter)), at: now + Self.latency)
    }
    freeAt = freeAt + cost
    // Restarted in the middle of it.
    guard freeAt < leaves || now >= returns else {
      return schedule(place, .ends(transfer.id, .unreachable("reset")), at: leaves + Self.latency)
    }
    if isProbe { return schedule(place, .ends(transfer.id, .reachable), at: freeAt + Self.latency) }
    count(place, now)
    schedule(place, .ends(transfer.id, .stored(.first, Self.digest, bytes: ChunkLayout.chunkBytes)), at: freeAt + Self.latency)
  }

  private mutating func count(_ place: Int, _ now: Instant) {
    clients[place].stored += 1
    guard now >= returns else { return }
    if clients[place].waiting == 1 {
      behind -= 1
      if behind == 0 { report.drained = seconds(freeAt - returns) }
    }
    if clients[place].storedSinceReturn == 0 {
      unserved -= 1
      if unserved == 0 { report.everybodyServed = seconds(freeAt - returns) }
    }
    clients[place].storedSinceReturn += 1
    storedSinceReturn += 1
    if storedSinceReturn == halfBacklog { report.fairness = fairness }
  }

  private mutating func tell(_ place: Int, _ event: UploadEvent, at now: Instant) {
    for effect in clients[place].scheduler.handle(event, at: now) {
      switch effect {
      case .start(let transfer): schedule(place, .arrives(transfer), at: now + Self.latency)
      case .cancel(let id): clients[place].cancelled.insert(id)
      case .record, .announce: break
      }
    }
    guard let deadline = clients[place].scheduler.deadline, clients[place].wakesAt != deadline else { return }
    clients[place].wakesAt = deadline
    schedule(place, .wake(deadline), at: max(now, deadline))
  }

  private mutating func schedule(_ place: Int, _ happening: Happening, at moment: Instant) {
    numbers += 1
    agenda.insert(Appointment(moment: moment, number: numbers, client: place, happening: happening))
  }

  private mutating func summarize() {
    report.clients = setup.clients
    report.capacityPerSecond = setup.capacity
    report.peakRequestsPerSecond = arrivals.values.map(\.all).max() ?? 0
    report.peakProbesPerSecond = arrivals.values.map(\.probes).max() ?? 0
    if unserved > 0 { report.everybodyServed = .infinity }
    if behind > 0 { report.drained = .infinity }
  }

  private var fairness: Double {
    let shares = clients.map { Double($0.storedSinceReturn) }
    let (sum, squares) = (shares.reduce(0, +), shares.reduce(0) { $0 + $1 * $1 })
    return squares == 0 ? 0 : sum * sum / (Double(shares.count) * squares)
  }

  private func seconds(_ span: Span) -> Double { Double(span.nanoseconds) / 1e9 }

  private static let digest = ChunkDigest(bytes: [UInt8](repeating: 7, count: ChunkDigest.byteCount))!
}

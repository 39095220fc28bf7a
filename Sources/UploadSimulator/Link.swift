public import UploadCore
import UploadProtocol

/// One machine with the real scheduler, and one link to a receiver that is there all the time: what the link carries, and what
/// becomes of it. Bytes flow evenly among the transfers under way.
public struct Link {
  public struct Setup: Sendable {
    /// All transfers together, and one alone; nil: as much as all.
    public var bytesPerSecond = 125_000
    public var bytesPerSecondOfOne: Int?
    /// From the first byte to the answer's arrival, without the time that the bytes take.
    public var roundTrip = Span.milliseconds(50)
    /// Then the receiver syncs. Every so manieth transfer, and all that start from a moment on, take it `lateTime`: 0, nil never.
    public var receiverTime = Span.milliseconds(5)
    public var lateEvery = 0
    public var lateFrom: Span?
    public var lateTime = Span.zero
    /// All connections are reset so often; nil: never.
    public var resetsEvery: Span?
    /// Every so manieth transfer, and all that start from a moment on, are lost on their way without a word: 0, nil never.
    public var lostEvery = 0
    public var lostFrom: Span?
    public var parallel = 4
    public var seed: UInt64 = 1
    public var length = Span.seconds(1_800)

    public init() {}
  }

  public struct Report: Sendable, Equatable {
    public var chunks = 0
    /// Of them, those that the receiver took its time for.
    public var chunksLate = 0
    /// Receipts until as many could be in flight as may be; nil: never.
    public var chunksUntilFull: Int?
    /// Of what the link could have carried.
    public var share = 0.0
    /// Transfers that were given up by the stall timeout.
    public var stalled = 0
    /// Of them, those whose answer would have come.
    public var stalledWrongly = 0
    /// The longest that a transfer which was lost was waited for.
    public var noticedAfter = Span.zero
    /// Bytes that moved and were not stored, of all that moved.
    public var wasted = 0.0
    /// Of those that were stored, from start to receipt.
    public var meanTime = Span.zero
    /// At the end.
    public var window = 0
    public var stallTimeout = Span.zero
  }

  private struct Moving {
    let transfer: Transfer
    let started: Instant
    /// Not moved yet.
    var rest: Double
    /// Once all has moved.
    var answerAt: Instant?
    var isLost = false
    var isLate = false
  }

  /// More than any link carries in the time.
  private static let chunks = 1 << 20
  /// Between two reports of progress.
  private static let progressEvery = Span.milliseconds(250)

  private let setup: Setup
  private var scheduler: UploadScheduler
  private var now = Instant(nanoseconds: 0)
  private var moving: [Moving] = []
  private var count = 0
  private var report = Report()
  private var moved = 0.0
  private var time = Span.zero
  private var nextProgress = Instant(nanoseconds: 0)
  private var nextReset: Instant?

  private init(_ setup: Setup) {
    self.setup = setup
    var policy = UploadPolicy()
    policy.parallel = setup.parallel
    scheduler = UploadScheduler(policy: policy, generator: SplitMix64(seed: setup.seed))
    nextReset = setup.resetsEvery.map { now + $0 }
  }

  /// Deterministic: the same setup gives the same report.
  public static func run(_ setup: Setup) -> Report {
    var link = Link(setup)
    link.run()
    return link.report
  }

  private mutating func run() {
    let end = now + setup.length
    let session = SessionID(number: 1)
    tell([
      .restored(
        session,
        RestoredSession(
          facts: SessionFacts(path: [UInt8(ascii: "a")], inode: 1), pending: [0..<Self.chunks], isAnnounced: true,
          isFinished: false, isSynced: false, failure: nil, priority: .normal, isHeld: false))
    ])
    while now < end {
      let next = [nextEnd, scheduler.deadline, nextReset, moving.isEmpty ? nil : nextProgress, end].compactMap { $0 }.min() ?? end
      advance(to: max(next, now + Span(nanoseconds: 1)))
      tell(happened())
    }
    summarize()
  }

  /// Bytes a second of one transfer, as many as move now.
  private var rateOfOne: Double {
    let sharing = moving.count { $0.rest > 0 && !$0.isLost }
    let share = Double(setup.bytesPerSecond) / Double(max(1, sharing))
    return setup.bytesPerSecondOfOne.map { min(share, Double($0)) } ?? share
  }

  private var nextEnd: Instant? {
    let rate = rateOfOne
    return moving.compactMap { one -> Instant? in
      if one.isLost { return nil }
      return one.answerAt ?? now + Span(nanoseconds: Int64((one.rest / rate * 1e9).rounded(.up)))
    }.min()
  }

  private mutating func advance(to moment: Instant) {
    let bytes = rateOfOne * Double((moment - now).nanoseconds) / 1e9
    now = moment
    for place in moving.indices where moving[place].rest > 0 && !moving[place].isLost {
      moved += min(bytes, moving[place].rest)
      moving[place].rest -= bytes
      guard moving[place].rest <= 1e-3 else { continue }
      moving[place].rest = 0
      let late = moving[place].isLate ? setup.lateTime : setup.receiverTime
      moving[place].answerAt = now + setup.roundTrip + late
    }
  }

  private mutating func happened() -> [UploadEvent] {
    var events: [UploadEvent] = []
    if let reset = nextReset, reset <= now {
      nextReset = setup.resetsEvery.map { now + $0 }
      events += moving.map { .transferred($0.transfer.id, $0.transfer.request == .probe ? .reachable : .unreachable("reset")) }
      moving = []
    }
    for one in moving {
      if let moment = one.answerAt, moment <= now { events.append(.transferred(one.transfer.id, outcome(of: one))) }
    }
    moving.removeAll { one in one.answerAt.map { $0 <= now } ?? false }
    if nextProgress <= now {
      for one in moving where one.rest > 0 && !one.isLost { events.append(.progressed(one.transfer.id, bytes: 1)) }
      nextProgress = now + Self.progressEvery
    }
    return events
  }

  private mutating func outcome(of one: Moving) -> TransferOutcome {
    guard one.transfer.request != .probe else { return .reachable }
    report.chunks += 1
    if one.isLate { report.chunksLate += 1 }
    time = time + (now - one.started)
    return .stored(.first, Self.digest, bytes: ChunkLayout.chunkBytes)
  }

  private mutating func tell(_ events: [UploadEvent]) {
    for effect in scheduler.handle(events, at: now) {
      switch effect {
      case .start(let transfer): start(transfer)
      case .cancel(let id): cancel(id)
      case .record, .announce: break
      }
    }
    if report.chunksUntilFull == nil, scheduler.summary.window == setup.parallel { report.chunksUntilFull = report.chunks }
  }

  private mutating func start(_ transfer: Transfer) {
    guard transfer.request != .probe else {
      return moving.append(Moving(transfer: transfer, started: now, rest: 0, answerAt: now + setup.roundTrip))
    }
    count += 1
    moving.append(
      Moving(
        transfer: transfer, started: now, rest: Double(ChunkLayout.chunkBytes),
        isLost: meets(every: setup.lostEvery, from: setup.lostFrom),
        isLate: meets(every: setup.lateEvery, from: setup.lateFrom)))
  }

  private func meets(every: Int, from: Span?) -> Bool {
    (every > 0 && count % every == 0) || from.map { Instant(nanoseconds: $0.nanoseconds) <= now } == true
  }

  private mutating func cancel(_ id: TransferID) {
    guard let place = moving.firstIndex(where: { $0.transfer.id == id }) else { return }
    let one = moving.remove(at: place)
    guard one.transfer.request != .probe else { return }
    report.stalled += 1
    if one.isLost { report.noticedAfter = max(report.noticedAfter, now - one.started) } else { report.stalledWrongly += 1 }
  }

  private mutating func summarize() {
    let stored = Double(report.chunks * ChunkLayout.chunkBytes)
    let one = setup.bytesPerSecondOfOne ?? setup.bytesPerSecond
    let capacity = Double(min(setup.bytesPerSecond, setup.parallel * one)) * Double(setup.length.nanoseconds) / 1e9
    report.share = stored / capacity
    report.wasted = moved == 0 ? 0 : max(0, (moved - stored) / moved)
    if report.chunks > 0 { report.meanTime = Span(nanoseconds: time.nanoseconds / Int64(report.chunks)) }
    report.window = scheduler.summary.window
    report.stallTimeout = scheduler.summary.stallTimeout
  }

  private static let digest = ChunkDigest(bytes: [UInt8](repeating: 7, count: ChunkDigest.byteCount))!
}

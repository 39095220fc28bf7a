internal import Foundation
internal import Synchronization
internal import UploadCore
internal import UploadProtocol

/// How much of the local disk recordings may take, and how long stored bytes stay.
public struct SpoolQuota: Sendable, Equatable {
  /// nil: all of the disk but its last 5 %.
  public var bytes: Int64?
  /// Seconds that a stored chunk stays at least; nil: nothing is ever evicted.
  public var keepSeconds: Double?
  public var rule = EvictionRule.stored

  public init(bytes: Int64? = nil, keepSeconds: Double? = 0) {
    self.bytes = bytes
    self.keepSeconds = keepSeconds
  }
}

/// From when on a destination gives back what it was sent.
public enum EvictionRule: Sendable {
  /// Each chunk, as soon as it is stored.
  case stored
  /// A recording as a whole, once it is synced.
  case synced
  /// Never.
  case never
}

/// Keeps the spool within its quota, on a thread of its own: stored chunks lose their local bytes, the oldest first.
///
/// Kernel threads call `makeRoom`, which is one comparison as long as there is room. When there is none, a writer waits for
/// the next eviction while chunks are being stored, at most `waitMax`; otherwise, and after that, the disk is full.
public final class Evictor: @unchecked Sendable {
  // `condition` guards everything below it.
  private unowned let spool: Spool
  private let quotaNow: Mutex<SpoolQuota>
  private var quota: SpoolQuota { quotaNow.withLock { $0 } }
  /// Whether chunks are visibly on their way to the destination: then it is worth waiting.
  private let isStoring: @Sendable () -> Bool
  /// Told, at most fifty times a second, when the spool is nearly full and nothing can be given up: what waits here should be
  /// stored now.
  private let needsRoom: @Sendable () -> Void
  /// Chunks given up so far.
  let evicted = Atomic<Int64>(0)
  private let limitNow = Atomic<Int64>(Int64.max)
  /// When it was last computed, in nanoseconds.
  private let limitMoment = Atomic<Int64>(Int64.min / 2)
  private let condition = NSCondition()
  private var waiters = 0
  private var rounds = 0
  private var lastFreed = 0
  private var isStopping = false
  private var evictable: Int64 = 0
  private var evictableAt = 0.0
  /// Seconds.
  private var evictableCost = 0.0
  private var prefetches: [(Recording, [Int])] = []
  /// Sessions whose stored bytes a person wants gone.
  private var asked: [SessionID] = []

  /// A recorder's own buffers bridge about this long.
  static let waitMax = 2.0
  /// A writer looks at the disk again after so many nanoseconds: 50 looks a second cost nothing.
  private static let limitAge: Int64 = 20_000_000
  /// Chunks given up in one round: one commit and one sync each.
  private static let batch = 64
  /// Reads ahead that wait: more are dropped, they are only a convenience.
  private static let prefetchesMax = 32

  init(
    spool: Spool, quota: SpoolQuota, isStoring: @escaping @Sendable () -> Bool, needsRoom: @escaping @Sendable () -> Void
  ) {
    self.spool = spool
    quotaNow = Mutex(quota)
    self.isStoring = isStoring
    self.needsRoom = needsRoom
  }

  /// Bytes that recordings may take now.
  public var limit: Int64 { limitNow.load(ordering: .relaxed) }

  /// Bytes that an eviction could free, as of at most a second ago, or twenty times what summing them up takes.
  public var evictableBytes: Int64 {
    guard quota.keepSeconds != nil, quota.rule != .never else { return 0 }
    condition.lock()
    defer { condition.unlock() }
    let now = Journal.wallClock
    if abs(now - evictableAt) > max(1, 20 * evictableCost) {
      evictable = (try? spool.journal.evictableBytes(quota.rule)) ?? 0
      evictableAt = Journal.wallClock
      evictableCost = max(0, evictableAt - now)
    }
    return evictable
  }

  /// From now on. What a destination gives back does not change.
  func adopt(_ quota: SpoolQuota) {
    quotaNow.withLock { old in
      let rule = old.rule
      old = quota
      old.rule = rule
    }
    updateLimit()
  }

  // MARK: Kernel threads

  /// Returns when the spool may grow by `growth` bytes. - Throws: `.noSpace`.
  func makeRoom(_ growth: Int64) throws(SpoolError) {
    guard growth > 0 else { return }
    // Others fill the disk too: room is made before a write finds it full, for that write could only fail.
    if limit < .max, spool.clock.now.nanoseconds - limitMoment.load(ordering: .relaxed) > Self.limitAge { updateLimit() }
    guard spool.usage.bytes + growth > limit else { return }
    condition.lock()
    defer { condition.unlock() }
    let deadline = Date(timeIntervalSinceNow: Self.waitMax)
    let first = rounds
    waiters += 1
    defer { waiters -= 1 }
    condition.broadcast()
    while spool.usage.bytes + growth > limit {
      // One whole round has begun and ended since: what it found is what there is.
      if rounds >= first + 2, lastFreed == 0, !isStoring() { throw .noSpace }
      if !condition.wait(until: deadline) { throw .noSpace }
    }
  }

  func prefetch(_ recording: Recording, _ indexes: [Int]) {
    condition.lock()
    defer { condition.unlock() }
    guard prefetches.count < Self.prefetchesMax else { return }
    prefetches.append((recording, indexes))
    condition.broadcast()
  }

  /// Somebody asked for it: whatever the quota.
  func evictSoon(_ sessions: [SessionID]) {
    condition.lock()
    asked += sessions
    condition.broadcast()
    condition.unlock()
  }

  // MARK: The thread

  func start() {
    updateLimit()
    let thread = Thread { [self] in run() }
    thread.name = "reelfs-evict"
    thread.stackSize = 1 << 20
    thread.start()
  }

  func stop() {
    condition.lock()
    isStopping = true
    condition.broadcast()
    condition.unlock()
  }

  private func run() {
    while true {
      condition.lock()
      if waiters == 0, prefetches.isEmpty, asked.isEmpty, !isStopping { _ = condition.wait(until: Date(timeIntervalSinceNow: 1)) }
      let wanted = prefetches
      prefetches = []
      let askedNow = asked
      asked = []
      let (isStopping, isPressed) = (self.isStopping, waiters > 0)
      condition.unlock()
      if isStopping { return }
      // A read ahead that fails is tried again by the reader itself, which then gets the error.
      for (recording, indexes) in wanted { try? recording.hydrate(indexes) }
      for session in askedNow { evictWhole(session) }
      spool.journal.keepSafe()
      let freed = round(isPressed: isPressed)
      condition.lock()
      rounds += 1
      lastFreed = freed
      condition.broadcast()
      // Somebody waits and nothing could be freed: chunks have to be stored first.
      if freed == 0, waiters > 0 { _ = condition.wait(until: Date(timeIntervalSinceNow: 0.02)) }
      condition.unlock()
    }
  }

  /// One batch of evictions if the spool is above nine tenths of its quota. - Returns: chunks given up.
  private func round(isPressed: Bool) -> Int {
    updateLimit()
    guard isPressed || spool.usage.bytes > limit / 10 * 9 else { return 0 }
    let freed = evictOldest()
    if freed == 0 { needsRoom() }
    return freed
  }

  private func evictOldest() -> Int {
    guard let keepSeconds = quota.keepSeconds, quota.rule != .never else { return 0 }
    let before = Journal.wallClock - keepSeconds
    guard let chunks = try? spool.journal.evictable(quota.rule, storedBefore: before, max: Self.batch) else { return 0 }
    return evict(chunks)
  }

  private func evictWhole(_ session: SessionID) {
    guard quota.rule != .never else { return }
    if quota.rule == .synced, (try? spool.journal.session(session))?.isSynced != true { return }
    var after = -1
    // A page at a time, so that one sync covers many chunks and none is held in memory for long.
    while let indexes = try? spool.journal.storedIndexes(of: session, after: after, max: 1_024), let last = indexes.last {
      _ = evict(indexes.map { ChunkID(session, $0) })
      after = last
    }
  }

  /// Gives up the bytes of these chunks, session by session. - Returns: how many went.
  func evict(_ chunks: [ChunkID]) -> Int {
    var freed = 0
    for (session, chunks) in Dictionary(grouping: chunks, by: \.session).sorted(by: { $0.key < $1.key }) {
      guard let recording = try? spool.recording(of: session) else { continue }
      freed += (try? recording.evict(chunks.map(\.index))) ?? 0
    }
    evicted.add(Int64(freed), ordering: .relaxed)
    return freed
  }

  /// The quota, and never the last 5 % of the disk, whoever fills it.
  private func updateLimit() {
    var limit = quota.bytes ?? Int64.max
    if let space = try? spool.space() {
      let (available, whole) = (space.blocksAvailable * space.blockSize, space.blocks * space.blockSize)
      limit = min(limit, spool.usage.bytes + Int64(clamping: available) - Int64(clamping: whole / 20))
    }
    limitNow.store(max(0, limit), ordering: .relaxed)
    limitMoment.store(spool.clock.now.nanoseconds, ordering: .relaxed)
  }
}

public import UploadProtocol

/// Which chunks of one open recording have changed since they were sealed, and when each is sealed (again).
///
/// A chunk below the recording's end is in one of three conditions: *handed off* (sealed, sending or stored: the journal
/// has it), *touched* (written and not handed off), or neither (a hole that nothing was ever written into, or bytes found
/// at start that the journal does not know). Every change of bytes is bracketed by `begin…` and `end…`; in between the
/// chunks concerned are not sealed. The caller journals what `begin…` asks for before it changes a byte.
public struct ChunkTracker: Sendable {
  /// Bytes of the recording.
  public private(set) var size: Int64
  /// The version a chunk gets that is sealed for the first time (higher after a truncation: see `truncated`).
  public private(set) var baseVersion: ChunkVersion
  /// Counts for what is looked at from now on.
  package var policy: SealPolicy
  private var handedOff: ChunkSet
  private var touched: [Int: TouchedChunk] = [:]
  /// When bytes outside `touched` last came to be (a hole, or bytes found at start); nil: there are none.
  private var holesSince: Instant?
  /// Changes under way that extend the recording. Until they end, a partial last chunk stays open: it may become one that
  /// zeros fill, and a change that began before it was written does not know of it.
  private var extensions = 0

  private struct TouchedChunk: Sendable {
    var version: ChunkVersion
    var firstTouch: Instant
    var lastTouch: Instant
    /// Bytes from the chunk's start that are known to be settled; reaching the chunk's end by growing seals at once.
    var settledBytes: Int
    var writersInside = 0
    /// The journal is being asked to reopen it; its version is not known yet.
    var isReopening = false
  }

  /// - Parameters:
  ///   - handedOff: chunks that the journal holds sealed or stored.
  ///   - reopened: chunks that the journal holds as open, with the version they will be sealed as.
  public init(
    size: Int64, baseVersion: ChunkVersion, handedOff: ChunkSet, reopened: [Int: ChunkVersion], policy: SealPolicy,
    now: Instant
  ) {
    self.size = size
    self.baseVersion = baseVersion
    self.handedOff = handedOff
    self.policy = policy
    for (index, version) in reopened where index < ChunkLayout.chunkCount(size: size) {
      touched[index] = TouchedChunk(
        version: version, firstTouch: now, lastTouch: now,
        settledBytes: ChunkLayout.byteCount(of: index, size: size))
    }
    holesSince = hasHoles ? now : nil
  }

  /// One change of bytes that is under way: what `begin…` gave, for `end…`.
  public struct Change: Sendable {
    /// Chunks that the journal must reopen before a byte changes.
    public let reopen: [Int]
    /// Somebody else is having one of these chunks reopened: end this change with 0 bytes, wait, and begin again.
    public let isContended: Bool
    /// Truncation only: the journal must drop every chunk from here on.
    public let dropFrom: Int?
    fileprivate let indexes: Range<Int>
    /// A partial last chunk that is filled with zeros because the recording grows past it.
    fileprivate let tail: Int?
    fileprivate let isExtending: Bool

    /// The chunks of this change that are in `set`.
    public func touching(_ set: ChunkSet) -> [Int] {
      guard set.count > 0 else { return [] }
      return (tail.map { [$0] } ?? []).filter(set.contains) + indexes.filter(set.contains)
    }
  }

  // MARK: Writing

  /// Announces that bytes `offset..<offset + count` are about to change.
  ///
  /// Have the journal reopen `Change.reopen`, then call `didReopen`, or `abandon` and end the change with 0 bytes.
  public mutating func beginWrite(offset: Int64, count: Int64, now: Instant) -> Change {
    let indexes = ChunkLayout.indexes(offset: offset, count: count)
    let last = Int(size / Int64(ChunkLayout.chunkBytes))
    let isPartial = size % Int64(ChunkLayout.chunkBytes) != 0
    let tail = offset > size && isPartial && last < indexes.lowerBound ? last : nil
    return begin(indexes, tail: tail, dropFrom: nil, isExtending: offset + count > size, now: now)
  }

  /// The bytes `offset..<offset + written` have changed.
  /// - Parameter seals: false: who is told of seals has enough to do. Chunks that were never sealed are forgotten like
  ///   holes, at no cost in memory, and `sealAll` or `sealDue` finds them.
  /// - Returns: chunks that this write completed.
  public mutating func endWrite(
    _ change: Change, offset: Int64, written: Int64, seals: Bool = true, now: Instant
  ) -> [SealedChunk] {
    if change.isExtending { extensions -= 1 }
    let end = offset + written
    if written > 0, end > size {
      if offset > size { holesSince = holesSince ?? now }
      size = end
    }
    leave(change.tail, now: now)
    var sealed: [SealedChunk] = []
    for index in change.indexes {
      guard var chunk = touched[index] else { continue }
      chunk.writersInside -= 1
      if written > 0 { chunk.lastTouch = now }
      let start = Int64(index) * Int64(ChunkLayout.chunkBytes)
      let wasComplete = chunk.settledBytes == ChunkLayout.chunkBytes
      if offset <= start + Int64(chunk.settledBytes), end > start {
        chunk.settledBytes = max(chunk.settledBytes, Int(min(end - start, Int64(ChunkLayout.chunkBytes))))
      }
      touched[index] = chunk
      if !wasComplete, chunk.settledBytes == ChunkLayout.chunkBytes, chunk.writersInside == 0 {
        if seals {
          sealed.append(seal(index, chunk.version))
        } else if chunk.version == baseVersion {
          touched[index] = nil
          holesSince = holesSince ?? now
        }
      }
    }
    forgetBeyondEnd(change.indexes)
    return sealed
  }

  /// The journal has reopened these chunks, to be sealed as these versions.
  public mutating func didReopen(_ versions: [Int: ChunkVersion]) {
    for (index, version) in versions {
      touched[index]?.version = version
      touched[index]?.isReopening = false
    }
  }

  /// The journal could not reopen these chunks; their bytes have not changed.
  public mutating func abandon(_ indexes: [Int]) {
    for index in indexes {
      touched[index] = nil
      handedOff.insert(index)
    }
  }

  /// The journal has the chunk as it is now.
  public func isHandedOff(_ index: Int) -> Bool { handedOff.contains(index) }

  // MARK: Truncating

  /// Announces that the recording is about to become `newSize` bytes long.
  public mutating func beginTruncate(to newSize: Int64, now: Instant) -> Change {
    let smaller = min(size, newSize)
    let boundary = Int(smaller / Int64(ChunkLayout.chunkBytes))
    let changes = newSize != size && smaller % Int64(ChunkLayout.chunkBytes) != 0
    let count = ChunkLayout.chunkCount(size: newSize)
    return begin(
      changes ? boundary..<boundary + 1 : 0..<0, tail: nil,
      dropFrom: count < ChunkLayout.chunkCount(size: size) ? count : nil, isExtending: newSize > size, now: now)
  }

  /// The journal has dropped every chunk from `index` on; new ones there start at `base`, above all earlier versions.
  public mutating func didDrop(from index: Int, base: ChunkVersion) {
    handedOff.removeAll(from: index)
    for key in touched.keys where key >= index { touched[key] = nil }
    baseVersion = base
  }

  /// The recording is `newSize` bytes long now (or still as long as before, when the change failed).
  public mutating func endTruncate(_ change: Change, to newSize: Int64, now: Instant) {
    if change.isExtending { extensions -= 1 }
    if newSize > size { holesSince = holesSince ?? now }
    size = newSize
    for index in change.indexes { leave(index, now: now) }
    forgetBeyondEnd(change.indexes)
  }

  // MARK: Sealing

  /// Chunks whose time has come, at most `policy.batch`; call again while `deadline` is not in the future.
  public mutating func sealDue(now: Instant) -> [SealedChunk] {
    sealTouched { tracker, index, chunk in tracker.dueTime(index, chunk) <= now }
      + (holesSince.map { $0 + policy.maxLag <= now } == true ? sealHoles() : [])
  }

  /// No writer is left: chunks that are still open, at most `policy.batch`; call again until it returns none.
  public mutating func sealAll() -> [SealedChunk] {
    sealTouched { _, _, _ in true } + sealHoles()
  }

  /// When `sealDue` will have something to seal; nil: not before another write.
  public var deadline: Instant? {
    var earliest = holesSince.map { $0 + policy.maxLag }
    for (index, chunk) in touched where chunk.writersInside == 0 && !chunk.isReopening {
      let due = dueTime(index, chunk)
      earliest = earliest.map { min($0, due) } ?? due
    }
    return earliest
  }

  /// Nothing of it was ever handed off.
  public var isNew: Bool {
    baseVersion == .first && handedOff.isEmpty && touched.values.allSatisfy { $0.version == baseVersion && !$0.isReopening }
  }

  /// Every byte has been handed off.
  public var isSealed: Bool { touched.isEmpty && holesSince == nil }

  /// When the oldest byte came to be that is not handed off; nil when all are.
  public var oldestUnsealed: Instant? {
    let oldest = touched.values.map(\.firstTouch).min()
    guard let holesSince else { return oldest }
    return oldest.map { min($0, holesSince) } ?? holesSince
  }

  // MARK: Details

  private mutating func begin(
    _ indexes: Range<Int>, tail: Int?, dropFrom: Int?, isExtending: Bool, now: Instant
  ) -> Change {
    var reopened: [Int] = []
    let isContended = indexes.contains { touched[$0]?.isReopening == true }
      || tail.map { touched[$0]?.isReopening == true } == true
    for index in indexes { enter(index, now: now, reopened: &reopened) }
    if let tail { enter(tail, now: now, reopened: &reopened) }
    if isExtending { extensions += 1 }
    return Change(
      reopen: reopened, isContended: isContended, dropFrom: dropFrom, indexes: indexes, tail: tail,
      isExtending: isExtending)
  }

  private mutating func enter(_ index: Int, now: Instant, reopened: inout [Int]) {
    touch(index, now: now, reopened: &reopened)
    touched[index]?.writersInside += 1
  }

  private mutating func leave(_ index: Int?, now: Instant) {
    guard let index, var chunk = touched[index] else { return }
    chunk.writersInside -= 1
    chunk.lastTouch = now
    chunk.settledBytes = min(chunk.settledBytes, ChunkLayout.byteCount(of: index, size: size))
    touched[index] = chunk
  }

  /// A write that failed (a full disk) leaves no chunk behind that the recording does not have.
  private mutating func forgetBeyondEnd(_ indexes: Range<Int>) {
    let count = ChunkLayout.chunkCount(size: size)
    for index in indexes where index >= count && touched[index]?.writersInside == 0 { touched[index] = nil }
  }

  private mutating func touch(_ index: Int, now: Instant, reopened: inout [Int]) {
    if handedOff.contains(index) {
      handedOff.remove(index)
      reopened.append(index)
      touched[index] = TouchedChunk(
        version: baseVersion, firstTouch: now, lastTouch: now,
        settledBytes: ChunkLayout.byteCount(of: index, size: size), isReopening: true)
    } else if touched[index] == nil {
      touched[index] = TouchedChunk(
        version: baseVersion, firstTouch: now, lastTouch: now,
        settledBytes: ChunkLayout.byteCount(of: index, size: size))
    }
  }

  private func dueTime(_ index: Int, _ chunk: TouchedChunk) -> Instant {
    let isTail = index == ChunkLayout.chunkCount(size: size) - 1
    if isTail && chunk.settledBytes < ChunkLayout.chunkBytes { return chunk.firstTouch + policy.maxLag }
    let doublings = min(chunk.version.number - min(baseVersion.number, chunk.version.number), policy.doublingsMax)
    let bound = chunk.firstTouch + Span(nanoseconds: policy.maxLag.nanoseconds << Int64(doublings))
    return min(chunk.lastTouch + policy.quiet, bound)
  }

  private mutating func sealTouched(where isDue: (ChunkTracker, Int, TouchedChunk) -> Bool) -> [SealedChunk] {
    // Dictionary order is random per process: sort, or two runs of one seed differ.
    let growing = growingTail
    let due = touched.filter { $1.writersInside == 0 && !$1.isReopening && $0 != growing && isDue(self, $0, $1) }
      .sorted { $0.key < $1.key }.prefix(policy.batch)
    return due.map { seal($0.key, $0.value.version) }
  }

  /// What was never written into, from the lowest index on. Chunks a writer is inside of are left for later.
  private mutating func sealHoles() -> [SealedChunk] {
    var sealed: [SealedChunk] = []
    let count = ChunkLayout.chunkCount(size: size)
    var from = 0
    while sealed.count < policy.batch, let index = handedOff.firstMissing(in: from..<count) {
      if index == growingTail { return sealed }
      if touched[index] == nil { sealed.append(seal(index, baseVersion)) }
      from = index + 1
    }
    if sealed.count < policy.batch { holesSince = nil }
    return sealed
  }

  /// The partial last chunk while the recording is being extended.
  private var growingTail: Int? {
    guard extensions > 0, size % Int64(ChunkLayout.chunkBytes) != 0 else { return nil }
    return ChunkLayout.chunkCount(size: size) - 1
  }

  private mutating func seal(_ index: Int, _ version: ChunkVersion) -> SealedChunk {
    touched[index] = nil
    handedOff.insert(index)
    return SealedChunk(
      index: index, version: version, bytes: ChunkLayout.byteCount(of: index, size: size))
  }

  private var hasHoles: Bool {
    var from = 0
    let count = ChunkLayout.chunkCount(size: size)
    while let index = handedOff.firstMissing(in: from..<count) {
      if touched[index] == nil { return true }
      from = index + 1
    }
    return false
  }
}

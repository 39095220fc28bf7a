internal import Synchronization

/// The requests that workers have in hand, in memory that survives them: `unique` → begun, then its outcome. After a
/// worker's death the kernel hands out again what was not answered; the ledger tells which of these had begun or finished.
///
/// Why no entry can be lost while the kernel may still hand its request out again:
/// - A request thread has one request in hand, and answers it before it takes the next. Its slot is emptied only after
///   the answer was written, and an answered request is never handed out again.
/// - Requests handed out again are at the head of the kernel's queue, so a worker has taken all of them before it takes a
///   new one. When one thread has seen a new request, and every other that receives has too, or rests with nothing in hand, no
///   old one is left: only then are the slots of earlier lives emptied (`threadHasSeenNewRequest`, `threadRests`).
/// - A worker therefore leaves at most one slot a thread behind. If workers die so often that this fills the table before
///   it can be emptied, that is remembered, and from then on an unknown request that is handed out again counts as begun.
///
/// It also counts for each request how often a worker crashed in it: how often the very thread crashed that had it in
/// hand (`clinux_count_crashes`). A request that only waited while another one crashed, or while somebody killed the
/// worker, is not blamed, however often that happens. After `crashesMax` it is refused instead of being tried again.
///
/// `@unchecked Sendable`: each slot has one owner, the thread that has the request in hand; all words are atomic.
package final class RequestLedger: @unchecked Sendable {
  /// A death leaves a slot for each request in hand behind, rarely more than 8: room for 128 deaths between two quiet moments.
  package static let capacity = 1024
  static let bytes = capacity * Slot.bytes
  /// Crashes in one request before it is refused. One may be chance (a bit flipped, memory short), two in a row hardly.
  package static let crashesMax = 3

  private let mapping: SharedMapping
  private let slots: UnsafeMutableRawPointer
  private let used: SharedWord
  private let life: SharedWord
  private let overflowed: SharedWord
  /// Threads of this life that receive and have not yet seen a new request, and whether any thread has.
  private let seen = Mutex((unsure: 0, isAnyNew: false))

  init(
    _ mapping: SharedMapping, slots: UnsafeMutableRawPointer, used: SharedWord, life: SharedWord, overflowed: SharedWord
  ) {
    self.mapping = mapping
    self.slots = slots
    self.used = used
    self.life = life
    self.overflowed = overflowed
  }

  /// Begins a worker's life: reserves a slot for each of its request threads.
  /// - Returns: the slots, by thread; nil for a thread that finds none.
  package func beginLife(threads: Int) -> [Slot?] {
    life.value += 1
    var free: [Slot?] = []
    for index in 0..<Self.capacity where free.count < threads {
      let slot = Slot(mapping, slots, index)
      guard slot.unique.value == 0 else { continue }
      if index >= Int(used.value) { used.value = UInt64(index) + 1 }
      free.append(slot)
    }
    if free.count < threads {
      overflowed.value = 1
      free += Array(repeating: nil, count: threads - free.count)
    }
    return free
  }

  /// Enters a request into the thread's `own` slot, or finds the slot of its earlier execution.
  package func begin(_ header: RequestHeader, own: Slot?) -> Begun {
    if header.wasResent {
      if let slot = find(header.unique) {
        slot.life.value = life.value
        // Handed out again, so that answer never arrived.
        slot.answering.value = 0
        return Begun(
          slot: slot, mayHaveRun: true, finished: slot.finished, isPoisoned: slot.crashes.value >= Self.crashesMax)
      }
      own?.enter(header, life: life.value)
      return Begun(slot: own, mayHaveRun: overflowed.value != 0, finished: nil)
    }
    own?.enter(header, life: life.value)
    return Begun(slot: own, mayHaveRun: false, finished: nil)
  }

  /// Called by a request thread that has not seen a new request, before it receives for the first time, or again after a rest.
  package func threadWillReceive() { seen.withLock { $0.unsure += 1 } }

  /// Called instead of `threadHasSeenNewRequest` by a thread that stops to receive, with nothing in hand. - Returns: the same.
  package func threadRests() -> [Orphan] { emptied(sawNew: false) }

  /// Called once by each request thread, when it has received a request that was not handed out before.
  /// - Returns: requests that earlier workers began, surely did not answer, and nobody asks for any more: their callers
  ///   were killed meanwhile.
  package func threadHasSeenNewRequest() -> [Orphan] { emptied(sawNew: true) }

  private func emptied(sawNew: Bool) -> [Orphan] {
    let isLast = seen.withLock { seen in
      seen.unsure -= 1
      seen.isAnyNew = seen.isAnyNew || sawNew
      return seen.unsure == 0 && seen.isAnyNew
    }
    guard isLast else { return [] }
    let now = life.value
    var orphans: [Orphan] = []
    for index in 0..<Int(used.value) {
      let slot = Slot(mapping, slots, index)
      if slot.unique.value != 0, slot.life.value < now {
        // One that was just being answered may have been, its worker killed before it could empty the slot.
        if slot.answering.value == 0 {
          orphans.append(Orphan(unique: slot.unique.value, opcode: UInt32(truncatingIfNeeded: slot.opcode.value)))
        }
        slot.leave()
      }
    }
    overflowed.value = 0
    return orphans
  }

  /// The requests that earlier workers took and did not answer, for kernels that cannot hand them out again.
  package func abandoned() -> [UInt64] {
    (0..<Int(used.value)).map { Slot(mapping, slots, $0) }
      .filter { $0.unique.value != 0 && $0.life.value < life.value }
      .map { $0.unique.value }
  }

  /// A scan of the used part: only for requests that were handed out again.
  private func find(_ unique: UInt64) -> Slot? {
    for index in 0..<Int(used.value) {
      let slot = Slot(mapping, slots, index)
      if slot.unique.value == unique { return slot }
    }
    return nil
  }

  package struct Orphan: Equatable {
    package let unique: UInt64
    package let opcode: UInt32

    package init(unique: UInt64, opcode: UInt32) {
      self.unique = unique
      self.opcode = opcode
    }
  }

  package struct Begun {
    package let slot: Slot?
    package let mayHaveRun: Bool
    package let finished: Outcome?
    /// Workers have crashed in it `crashesMax` times: it must not be tried again.
    package var isPoisoned = false
  }

  /// How a request ended.
  package struct Outcome: Equatable {
    /// 0: success.
    package var errno: Int32
    /// The handle that OPEN or CREATE gave, and its flags.
    package var handle: UInt64 = 0
    package var isDirect = false
    package var keepsCache = false

    package init(errno: Int32, handle: UInt64 = 0, isDirect: Bool = false, keepsCache: Bool = false) {
      self.errno = errno
      self.handle = handle
      self.isDirect = isDirect
      self.keepsCache = keepsCache
    }
  }

  /// 64 bytes, so that two threads do not share a cache line: unique (0: empty), outcome, memory, handle, life, opcode,
  /// crashes, answering.
  package struct Slot: @unchecked Sendable {
    static let bytes = 64
    private let base: UnsafeMutableRawPointer
    private let mapping: SharedMapping

    init(_ mapping: SharedMapping, _ slots: UnsafeMutableRawPointer, _ index: Int) {
      self.mapping = mapping
      self.base = slots + index * Self.bytes
    }

    var unique: SharedWord { SharedWord(base, at: 0) }
    /// 0: begun. Otherwise bit 0, isDirect in bit 1, keepsCache in bit 2, errno from bit 32.
    private var outcome: SharedWord { SharedWord(base, at: 8) }
    package var memory: SharedWord { SharedWord(base, at: 16) }
    private var handle: SharedWord { SharedWord(base, at: 24) }
    var life: SharedWord { SharedWord(base, at: 32) }
    var opcode: SharedWord { SharedWord(base, at: 40) }
    /// Workers that crashed in it.
    package var crashes: SharedWord { SharedWord(base, at: 48) }
    /// 1: its answer is being written, or was.
    package var answering: SharedWord { SharedWord(base, at: 56) }

    func enter(_ header: RequestHeader, life now: UInt64) {
      unique.value = 0
      outcome.value = 0
      memory.value = 0
      handle.value = 0
      life.value = now
      opcode.value = UInt64(header.opcode)
      crashes.value = 0
      answering.value = 0
      unique.value = header.unique
    }

    package func finish(_ result: Outcome) {
      handle.value = result.handle
      let flags: UInt64 = 1 | (result.isDirect ? 2 : 0) | (result.keepsCache ? 4 : 0)
      outcome.value = flags | UInt64(UInt32(bitPattern: result.errno)) << 32
    }

    var finished: Outcome? {
      let word = outcome.value
      guard word & 1 != 0 else { return nil }
      return Outcome(
        errno: Int32(bitPattern: UInt32(word >> 32)), handle: handle.value, isDirect: word & 2 != 0,
        keepsCache: word & 4 != 0)
    }

    /// Only after the answer was written.
    package func leave() { unique.value = 0 }
  }
}

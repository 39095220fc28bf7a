public import SystemPackage
internal import Synchronization

/// The open handles of the mount, in memory that survives the worker. A handle number holds its slot and the slot's
/// generation, so a handle closed twice (a RELEASE handed out again) cannot close its successor.
///
/// `@unchecked Sendable`: slots are published and withdrawn by one atomic word each; the free list has its own lock.
public final class HandleTable: @unchecked Sendable {
  /// Open handles at most: `ENFILE` beyond. A mount is used by tens of programs; a table of this size is 2 MiB, of
  /// which only the part that was ever used takes memory.
  public static let capacity = 65_536
  static let bytes = capacity * Slot.bytes

  private let mapping: SharedMapping
  private let slots: UnsafeMutableRawPointer
  /// Slots below this index have been used at some time.
  private let used: SharedWord
  /// Indexes of closed slots below `used`; the last is reused first, so the table stays compact.
  private let free: Mutex<[UInt32]>

  init(_ mapping: SharedMapping, slots: UnsafeMutableRawPointer, used: SharedWord) {
    self.mapping = mapping
    self.slots = slots
    self.used = used
    let count = min(Int(used.value), Self.capacity)
    self.free = Mutex((0..<UInt32(count)).reversed().filter { !Slot(slots, $0).isOpen })
  }

  /// Opens a handle. The same request handed out again gets the handle that its first execution opened.
  /// - Throws: `.tooManyOpenFilesInSystem` (ENFILE) when the table is full.
  public func open(node: NodeID, flags: Int32, context: RequestContext) throws(Errno) -> HandleID {
    if context.mayHaveRun, context.unique != 0, let handle = handle(openedBy: context.unique) { return handle }
    guard let index = takeFreeIndex() else { throw .tooManyOpenFilesInSystem }
    return Slot(slots, index).publish(node: node, flags: flags, unique: context.unique)
  }

  /// Closes a handle.
  /// - Returns: what it stood for; nil if it is closed already.
  public func close(_ handle: HandleID) -> (node: NodeID, flags: Int32)? {
    guard let slot = slot(handle), let entry = slot.entry(handle), slot.withdraw(handle) else { return nil }
    free.withLock { $0.append(slot.index) }
    return entry
  }

  /// What `handle` stands for; nil if it is closed.
  public func entry(_ handle: HandleID) -> (node: NodeID, flags: Int32)? { slot(handle)?.entry(handle) }

  /// Calls `body` for every open handle, in no order. Handles opened or closed meanwhile may or may not be seen.
  public func forEach(_ body: (HandleID, NodeID, _ flags: Int32) -> Void) {
    for index in 0..<UInt32(min(Int(used.value), Self.capacity)) {
      let slot = Slot(slots, index)
      if let handle = slot.current, let entry = slot.entry(handle) { body(handle, entry.node, entry.flags) }
    }
  }

  /// Open handles now.
  public var count: Int {
    var count = 0
    forEach { _, _, _ in count += 1 }
    return count
  }

  /// A scan of the used part: only for requests that were handed out again, a few per worker's death.
  func handle(openedBy unique: UInt64) -> HandleID? {
    for index in 0..<UInt32(min(Int(used.value), Self.capacity)) {
      let slot = Slot(slots, index)
      if let handle = slot.current, slot.unique == unique { return handle }
    }
    return nil
  }

  private func slot(_ handle: HandleID) -> Slot? {
    let index = UInt32(truncatingIfNeeded: handle.rawValue & 0xFFFF)
    return Int(index) < Int(used.value) ? Slot(slots, index) : nil
  }

  private func takeFreeIndex() -> UInt32? {
    free.withLock { free in
      if let index = free.popLast() { return index }
      let next = used.value
      guard next < Self.capacity else { return nil }
      used.value = next + 1
      return UInt32(next)
    }
  }

  /// Four words: state (generation << 1 | open), node, flags, the request that opened it.
  private struct Slot {
    static let bytes = 32
    let index: UInt32
    private let base: UnsafeMutableRawPointer

    init(_ slots: UnsafeMutableRawPointer, _ index: UInt32) {
      self.index = index
      base = slots + Int(index) * Self.bytes
    }

    private var state: SharedWord { SharedWord(base, at: 0) }
    private var nodeWord: SharedWord { SharedWord(base, at: 8) }
    private var flagsWord: SharedWord { SharedWord(base, at: 16) }
    private var uniqueWord: SharedWord { SharedWord(base, at: 24) }

    var isOpen: Bool { state.value & 1 != 0 }
    var unique: UInt64 { uniqueWord.value }
    var current: HandleID? {
      let state = state.value
      return state & 1 != 0 ? handle(state) : nil
    }

    func publish(node: NodeID, flags: Int32, unique: UInt64) -> HandleID {
      nodeWord.value = node.rawValue
      flagsWord.value = UInt64(UInt32(bitPattern: flags))
      uniqueWord.value = unique
      // The generation starts at 1, so no handle is 0; it wraps after 2^46 openings of one slot.
      let new = ((state.value >> 1) + 1) << 1 | 1
      state.value = new
      return handle(new)
    }

    func withdraw(_ handle: HandleID) -> Bool {
      let open = (handle.rawValue >> 16) << 1 | 1
      return state.replace(open, with: open & ~1)
    }

    func entry(_ handle: HandleID) -> (node: NodeID, flags: Int32)? {
      guard current == handle else { return nil }
      let entry = (NodeID(rawValue: nodeWord.value), Int32(bitPattern: UInt32(truncatingIfNeeded: flagsWord.value)))
      // Closed and reused between the two reads: then what was read may be the successor's.
      return current == handle ? entry : nil
    }

    private func handle(_ state: UInt64) -> HandleID { HandleID(rawValue: (state >> 1) << 16 | UInt64(index)) }
  }
}

internal import CLinux
internal import Glibc
public import SystemPackage

/// What a worker that dies leaves to the next: a memory file that every worker maps. It holds the saved INIT request, the
/// ledger of requests in hand and the table of open handles; it knows nothing of any file system.
///
/// Every change is made so that a SIGKILL between any two instructions leaves it usable: fields first, then one atomic
/// store that publishes them.
///
/// `@unchecked Sendable`: the mapping is fixed for the life of the object; all words in it are read and written atomically
/// or belong to the one thread that has not published them yet.
public final class SharedState: @unchecked Sendable {
  /// The memory file; inherit it to the worker, and give it to `init(descriptor:)` there. Stays the caller's to close.
  public let descriptor: FileDescriptor
  /// The open files and directories of the mount.
  public let handles: HandleTable
  package let ledger: RequestLedger
  private let base: UnsafeMutableRawPointer
  private let mapping: SharedMapping

  /// A new, empty one.
  public static func create() throws(SharedStateError) -> SharedState {
    let raw = clinux_memfd_create("reelfs-worker-state")
    guard raw >= 0 else { throw .io(Errno(rawValue: errno), doing: "creating a memory file") }
    guard ftruncate(raw, off_t(Layout.bytes)) == 0 else {
      let error = Errno(rawValue: errno)
      close(raw)
      throw .io(error, doing: "sizing a memory file")
    }
    return try SharedState(descriptor: FileDescriptor(rawValue: raw))
  }

  /// Maps the one behind `descriptor`, as made by `create()` in this or another process.
  public init(descriptor: FileDescriptor) throws(SharedStateError) {
    let bytes = lseek(descriptor.rawValue, 0, SEEK_END)
    guard bytes >= 0 else { throw .io(Errno(rawValue: errno), doing: "looking at the worker's memory file") }
    guard bytes == Layout.bytes else { throw .notOurs }
    guard let mapping = SharedMapping(descriptor, bytes: Layout.bytes) else {
      throw .io(Errno(rawValue: errno), doing: "mapping the worker's memory file")
    }
    let base = mapping.base
    let magic = SharedWord(base, at: Layout.magic)
    if !magic.replace(0, with: Layout.magicValue), magic.value != Layout.magicValue { throw .notOurs }
    self.descriptor = descriptor
    self.base = base
    self.mapping = mapping
    self.ledger = RequestLedger(
      mapping, slots: base + Layout.ledger, used: SharedWord(base, at: Layout.ledgerUsed),
      life: SharedWord(base, at: Layout.life), overflowed: SharedWord(base, at: Layout.ledgerOverflowed))
    self.handles = HandleTable(
      mapping, slots: base + Layout.handles, used: SharedWord(base, at: Layout.handlesUsed))
  }

  /// Waits until no other worker serves with this state: one that was killed may still be in a call, and what it does
  /// there must not come after what its successor does. - Returns: a descriptor that keeps others waiting until it is
  /// closed.
  func becomeOnlyWorker() throws(Errno) -> FileDescriptor {
    // A description of its own: locks belong to these, and the inherited one is everybody's.
    let own = open("/proc/self/fd/\(descriptor.rawValue)", O_RDWR | O_CLOEXEC)
    guard own >= 0 else { throw Errno(rawValue: errno) }
    while flock(own, LOCK_EX) != 0 {
      let error = errno
      if error == EINTR { continue }
      close(own)
      throw Errno(rawValue: error)
    }
    return FileDescriptor(rawValue: own)
  }

  // MARK: INIT

  /// The kernel's INIT request as the first worker read it; nil before.
  var savedInit: [UInt8]? {
    let count = Int(SharedWord(base, at: Layout.initCount).value)
    guard count > 0, count <= KernelProtocol.initBytesMax else { return nil }
    return [UInt8](UnsafeRawBufferPointer(start: base + Layout.initBytes, count: count))
  }

  func saveInit(_ bytes: [UInt8]) {
    precondition(bytes.count <= KernelProtocol.initBytesMax, "an INIT request is small")
    UnsafeMutableRawBufferPointer(start: base + Layout.initBytes, count: bytes.count).copyBytes(from: bytes)
    SharedWord(base, at: Layout.initCount).value = UInt64(bytes.count)
  }

  /// A worker has set about reading INIT.
  var initWasExpected: Bool {
    get { SharedWord(base, at: Layout.initExpected).value != 0 }
    set { SharedWord(base, at: Layout.initExpected).value = newValue ? 1 : 0 }
  }

  /// The kernel has had an answer to INIT: a later worker must not answer again.
  var initWasAnswered: Bool {
    get { SharedWord(base, at: Layout.initAnswered).value != 0 }
    set { SharedWord(base, at: Layout.initAnswered).value = newValue ? 1 : 0 }
  }

  /// Bytes of the largest WRITE as agreed with the kernel; nil before.
  var writeBytesMax: Int? {
    get {
      let value = SharedWord(base, at: Layout.writeBytesMax).value
      return value == 0 ? nil : Int(value)
    }
    set { SharedWord(base, at: Layout.writeBytesMax).value = UInt64(newValue ?? 0) }
  }

  // MARK: For the supervisor

  /// Which mount this belongs to: its device number, as the list of mounts shows it; 0 before it is known.
  public var mountDevice: UInt64 {
    get { SharedWord(base, at: Layout.mountDevice).value }
    set { SharedWord(base, at: Layout.mountDevice).value = newValue }
  }

  /// Workers that have served with this state, the present one too.
  public var lives: UInt64 { SharedWord(base, at: Layout.life).value }

  /// Grows each time a worker shows that it is alive (`Session.beat`).
  public var beats: UInt64 { SharedWord(base, at: Layout.beats).value }
  func beat() { SharedWord(base, at: Layout.beats).add(1) }

  /// Requests refused so far because workers crashed in them.
  public var refusals: UInt64 { SharedWord(base, at: Layout.refusals).value }
  func noteRefusal() { SharedWord(base, at: Layout.refusals).add(1) }

  /// Offsets in bytes. A change here changes `magicValue`, so that an upgraded worker refuses what it would misread.
  private enum Layout {
    static let magicValue: UInt64 = 0x7265_656C_6673_0001  // "reelfs", layout 1
    static let magic = 0
    static let life = 8
    static let initCount = 16
    static let initAnswered = 24
    static let ledgerUsed = 32
    static let ledgerOverflowed = 40
    static let handlesUsed = 48
    static let writeBytesMax = 56
    static let initExpected = 64
    static let mountDevice = 72
    static let beats = 80
    static let refusals = 88
    static let initBytes = 4096
    static let ledger = initBytes + KernelProtocol.initBytesMax
    static let handles = ledger + RequestLedger.bytes
    static let bytes = handles + HandleTable.bytes
  }
}

/// Why the state shared with an earlier worker cannot be used.
public enum SharedStateError: Error, Equatable, CustomStringConvertible {
  case io(Errno, doing: String)
  /// Another size or another layout: made by another version of the program.
  case notOurs

  public var description: String {
    switch self {
    case .io(let error, let action): "\(action): \(error)"
    case .notOurs: "the state of the earlier worker has another layout: unmount and mount again to use this version"
    }
  }
}

/// A mapped memory file, unmapped when the last of its users has gone.
///
/// `@unchecked Sendable`: the address never changes.
final class SharedMapping: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  private let bytes: Int

  /// nil: `errno` says why.
  init?(_ descriptor: FileDescriptor, bytes: Int) {
    let address = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.rawValue, 0)
    guard let address, address != MAP_FAILED else { return nil }
    self.base = address
    self.bytes = bytes
  }

  deinit { munmap(base, bytes) }
}

/// One 64-bit word in shared memory.
package struct SharedWord {
  private let address: UnsafeMutablePointer<UInt64>

  init(_ base: UnsafeMutableRawPointer, at offset: Int) {
    address = (base + offset).assumingMemoryBound(to: UInt64.self)
  }

  package var value: UInt64 {
    get { clinux_atomic_load(address) }
    nonmutating set { clinux_atomic_store(address, newValue) }
  }

  /// Stores `new` if the word is `expected`. - Returns: whether it was.
  func replace(_ expected: UInt64, with new: UInt64) -> Bool { clinux_atomic_replace(address, expected, new) }

  func add(_ count: UInt64) { while case let old = value, !replace(old, with: old &+ count) {} }

  /// Until `countNoCrashes`, a crash of the calling thread adds 1 to it (`clinux_count_crashes`).
  func countCrashes() { clinux_set_crash_counter(address) }
  static func countNoCrashes() { clinux_set_crash_counter(nil) }
}

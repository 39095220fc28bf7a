internal import CFuse
internal import CLinux
internal import Dispatch
internal import Glibc
internal import Synchronization

/// One thread of the request pool, and the request it has in hand. Everything but `isReceiving`, `number` and what the pool
/// keeps is touched by that thread only.
///
/// `@unchecked Sendable`: for that reason.
final class RequestThread: @unchecked Sendable {
  /// Blocked in the kernel, or about to be: the moment in which a signal may wake it to stop.
  let isReceiving = Atomic(false)
  /// The kernel's number of the thread; 0 before it runs.
  let number = Atomic<Int32>(0)
  /// The pool's: waited for while the thread is parked; and whether its start counted it among those that wait for requests.
  let unparked = DispatchSemaphore(value: 0)
  var isCounted = false

  private let ledger: RequestLedger
  private let ownSlot: RequestLedger.Slot?
  /// Takes back what requests handed out whose callers are gone.
  private let takeBack: (RequestLedger.Orphan) -> Void
  /// Counted by the ledger among those that may have an old request.
  private var isUnsure = false
  private var hasSeenNewRequest = false
  private var begun: RequestLedger.Begun?
  private var header: RequestHeader?
  /// For looking at a request that came as a pipe.
  private var sidePipe: (read: CInt, write: CInt)?

  init(
    ledger: RequestLedger, slot: RequestLedger.Slot?, takeBack: @escaping (RequestLedger.Orphan) -> Void
  ) {
    self.ledger = ledger
    self.ownSlot = slot
    self.takeBack = takeBack
  }

  deinit {
    if let sidePipe {
      close(sidePipe.read)
      close(sidePipe.write)
    }
  }

  /// Before it receives.
  func willReceive() {
    guard !hasSeenNewRequest, !isUnsure else { return }
    isUnsure = true
    ledger.threadWillReceive()
  }

  /// It stops to receive, for a while or for good, and has nothing in hand.
  func rest() {
    guard isUnsure else { return }
    isUnsure = false
    ledger.threadRests().forEach(takeBack)
  }

  /// The request thread that calls; nil on any other thread.
  static var current: RequestThread? {
    clinux_thread_pointer().map { Unmanaged<RequestThread>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Notes a request just received. `buffer` holds it in memory, or names the pipe that holds it.
  func begin(_ buffer: fuse_buf) {
    let isInMemory = buffer.flags.rawValue & FUSE_BUF_IS_FD.rawValue == 0
    if isInMemory, let bytes = buffer.mem { KernelProtocol.translateTemporaryFile(bytes) }
    header = isInMemory ? buffer.mem.map { RequestHeader($0) } : peek(pipe: buffer.fd)
    // A big WRITE in a pipe is not looked at: it may be carried out twice. These have no answer, and overtake what is
    // handed out again.
    let unanswered = [FUSE_INTERRUPT.rawValue, FUSE_FORGET.rawValue, FUSE_BATCH_FORGET.rawValue]
    guard let header, header.unique != 0, !unanswered.contains(header.opcode) else { return }
    if !header.wasResent, !hasSeenNewRequest {
      hasSeenNewRequest = true
      isUnsure = false
      ledger.threadHasSeenNewRequest().forEach(takeBack)
    }
    begun = ledger.begin(header, own: ownSlot)
    if poisoned == nil { begun?.slot?.crashes.countCrashes() }
  }

  /// The request in hand, if it must be refused because workers crashed in it.
  var poisoned: RequestHeader? { begun?.isPoisoned == true ? header : nil }

  /// Its answer is about to be written.
  func willAnswer() { begun?.slot?.answering.value = 1 }

  /// The request was answered.
  func end() {
    SharedWord.countNoCrashes()
    begun?.slot?.leave()
    begun = nil
    header = nil
  }

  /// What the ledger knows of the request in hand.
  var finished: RequestLedger.Outcome? { begun?.finished }
  func finish(_ outcome: RequestLedger.Outcome) { begun?.slot?.finish(outcome) }

  func context(_ request: fuse_req_t) -> RequestContext {
    let caller = fuse_req_ctx(request).pointee
    return RequestContext(
      userID: caller.uid, groupID: caller.gid, processID: caller.pid, umask: caller.umask,
      mayHaveRun: begun?.mayHaveRun ?? false, memory: begun?.slot?.memory.value ?? 0, unique: header?.unique ?? 0,
      slot: begun?.slot)
  }

  /// Looks at the header of a request that lies in `pipe`, leaving it there. Only until this thread has seen a new
  /// request: later none can come that was handed out before, and each big write is spared two calls.
  private func peek(pipe: CInt) -> RequestHeader? {
    guard !hasSeenNewRequest else { return nil }
    if sidePipe == nil {
      var ends: [CInt] = [0, 0]
      guard clinux_pipe_cloexec(&ends) == 0 else { return nil }
      sidePipe = (ends[0], ends[1])
    }
    guard let sidePipe else { return nil }
    let count = KernelProtocol.inHeaderBytes
    guard clinux_tee(pipe, sidePipe.write, count) == count else { return nil }
    return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { bytes in
      read(sidePipe.read, bytes.baseAddress!, count) == count ? RequestHeader(bytes.baseAddress!) : nil
    }
  }
}

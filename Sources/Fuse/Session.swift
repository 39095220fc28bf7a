internal import CFuse
internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Serves one mount from its `/dev/fuse` descriptor until it is unmounted, or until asked to stop for a successor.
///
/// `@unchecked Sendable`: the libfuse session is thread-safe in what is called from other threads (its notifications);
/// the rest happens in `init` and `run`.
public final class Session: @unchecked Sendable {
  /// Why `run` returned.
  public enum End: Sendable, Equatable {
    /// The mount is gone.
    case unmounted
    /// `requestStop` was called: what was in hand is answered, the rest is the successor's.
    case stopped
  }

  /// Whether a worker that dies is replaced without an error to anybody: Linux 6.9 and later.
  public let survivesWorkerDeath: Bool
  /// Whether an earlier worker served this mount.
  public let isContinued: Bool

  private let raw: OpaquePointer
  private let context: SessionContext
  private let shared: SharedState
  private let device: FileDescriptor
  /// Held as long as this session may serve.
  private let turn: FileDescriptor
  private let threads: [RequestThread]
  private let mustStop = Atomic(false)

  /// Shakes hands with the kernel: when this returns, the mount is usable; requests wait until `run`.
  /// - Parameter descriptor: `/dev/fuse`, mounted; the session closes its own duplicate of it only.
  public init(
    descriptor: FileDescriptor, sharedState: SharedState, fileSystem: any FileSystem, options: SessionOptions
  ) throws(SessionError) {
    precondition(options.threadsMax >= RequestPool.waitingMax && options.threadsMax <= 64, "a pool has 4 to 64 threads")
    let turn: FileDescriptor
    do throws(Errno) { turn = try sharedState.becomeOnlyWorker() } catch {
      throw .device(error, doing: "waiting for the earlier worker to end")
    }
    self.turn = turn
    let handshake = Handshake(device: descriptor, shared: sharedState)
    let request = try handshake.request()
    let survives = Handshake.canResend(request)
    // Without the means to hand requests out again their headers are needed in memory, to fail them.
    let buffers = RequestBuffers.choose(
      wanted: options.writeBytesMax, agreed: sharedState.writeBytesMax,
      threads: RequestPool.waitingMax + RequestPool.parkedMax, maySplice: survives)
    sharedState.writeBytesMax = buffers.writeBytesMax
    let context = SessionContext(fileSystem: fileSystem, options: options, buffers: buffers)
    self.raw = try Self.makeSession(descriptor, context)
    self.context = context
    self.shared = sharedState
    self.device = descriptor
    self.survivesWorkerDeath = survives
    self.isContinued = sharedState.initWasAnswered
    self.threads = sharedState.ledger.beginLife(threads: options.threadsMax).map { slot in
      RequestThread(ledger: sharedState.ledger, slot: slot) {
        Self.takeBack($0, fileSystem: fileSystem, handles: sharedState.handles)
      }
    }
    // From here on all is stored, so `deinit` cleans up.
    let session = self.raw
    let reply = context.catchingInitReply {
      var bytes = request
      bytes.withUnsafeMutableBytes { bytes in
        var buffer = fuse_buf()
        buffer.size = bytes.count
        buffer.mem = bytes.baseAddress
        fuse_session_process_buf(session, &buffer)
      }
    }
    try handshake.answer(reply, to: request)
    guard isContinued else { return }
    if !handshake.askAgain() { sharedState.ledger.abandoned().forEach(handshake.fail) }
  }

  deinit {
    fuse_session_destroy(raw)
    Unmanaged.passUnretained(context).release()
    try? turn.close()
  }

  /// Serves requests on the pool's threads; returns when all of them have ended. Call it once.
  /// - Throws: `.threads` if not one thread could be had; with fewer than asked for it goes on.
  public func run() throws(SessionError) -> End {
    _ = clinux_install_waking_signal(Self.wakingSignal)
    clinux_count_crashes()
    let pool = RequestPool(threads) { [self] in serve($0, $1) }
    guard pool.run() else { throw .threads }
    return mustStop.load(ordering: .acquiring) ? .stopped : .unmounted
  }

  /// Makes `run` return once the requests in hand are answered. From any thread but a request thread.
  ///
  /// A thread that waits in the kernel is woken by a signal. One that came just before the wait is lost, so it is
  /// repeated until no thread waits any more: threads look at `mustStop` before each wait, so that is soon.
  public func requestStop() {
    mustStop.store(true, ordering: .sequentiallyConsistent)
    while true {
      let waiting = threads.filter { $0.isReceiving.load(ordering: .sequentiallyConsistent) }
      if waiting.isEmpty { return }
      for thread in waiting {
        _ = clinux_signal_thread(thread.number.load(ordering: .acquiring), Self.wakingSignal)
      }
      usleep(1_000)
    }
  }

  /// The body of each request thread.
  private func serve(_ thread: RequestThread, _ pool: RequestPool) {
    var buffer = fuse_buf()
    buffer.mem = context.buffers.allocate()
    defer { free(buffer.mem) }
    while pool.willReceive(thread) {
      thread.willReceive()
      guard receive(thread, &buffer) else { return pool.end() }
      pool.hasReceived()
      process(&buffer, thread)
    }
  }

  /// Waits for a request. - Returns: false when the mount is gone, or the session is told to stop.
  private func receive(_ thread: RequestThread, _ buffer: inout fuse_buf) -> Bool {
    while true {
      thread.isReceiving.store(true, ordering: .sequentiallyConsistent)
      let isStopping = mustStop.load(ordering: .sequentiallyConsistent)
      let received = isStopping ? 0 : fuse_session_receive_buf(raw, &buffer)
      thread.isReceiving.store(false, ordering: .sequentiallyConsistent)
      if received > 0 { return true }
      if received == 0 { return false }
      switch -received {
      case EINTR, ENOENT, EAGAIN: continue
      default:
        // ENOMEM, EIO: of this one request only; a device that is gone ends with 0 (libfuse hides ENODEV).
        if fuse_session_exited(raw) != 0 { return false }
        usleep(10_000)
      }
    }
  }

  private func process(_ buffer: inout fuse_buf, _ thread: RequestThread) {
    thread.begin(buffer)
    guard let poisoned = thread.poisoned else {
      fuse_session_process_buf(raw, &buffer)
      return thread.end()
    }
    refuse(poisoned, buffer)
    thread.end()
    // Afterwards: should the worker crash in this too, the request is not there any more.
    Self.takeBack(
      RequestLedger.Orphan(unique: poisoned.unique, opcode: poisoned.opcode), fileSystem: context.fileSystem,
      handles: shared.handles)
  }

  /// Answers EIO past libfuse, which may be what crashes.
  private func refuse(_ header: RequestHeader, _ buffer: fuse_buf) {
    if buffer.flags.rawValue & FUSE_BUF_IS_FD.rawValue != 0 { context.buffers.drain(pipe: buffer.fd, count: buffer.size) }
    Handshake(device: device, shared: shared).fail(header.answerUnique)
    shared.noteRefusal()
    context.options.onRefusal(RefusedRequest(header))
  }

  /// Shows the supervisor that this worker is alive. From any thread.
  public func beat() { shared.beat() }

  /// Cache invalidation in the kernel.
  public var notifier: Notifier { Notifier(session: self) }

  /// A caller was killed between an OPEN that an earlier worker carried out and its answer: no RELEASE will come.
  private static func takeBack(_ orphan: RequestLedger.Orphan, fileSystem: any FileSystem, handles: HandleTable) {
    guard let handle = handles.handle(openedBy: orphan.unique), let entry = handles.entry(handle) else { return }
    let nobody = RequestContext(userID: 0, groupID: 0, processID: 0, umask: 0)
    switch orphan.opcode {
    case FUSE_OPEN.rawValue, FUSE_CREATE.rawValue: fileSystem.release(entry.node, handle, nobody)
    case FUSE_OPENDIR.rawValue: fileSystem.releaseDirectory(entry.node, handle, nobody)
    default: break
    }
  }

  func withRaw<Value>(_ body: (OpaquePointer) -> Value) -> Value { body(raw) }

  /// Ignored by default and used by nobody else in this program.
  static let wakingSignal = SIGURG

  private static func makeSession(
    _ descriptor: FileDescriptor, _ context: SessionContext
  ) throws(SessionError) -> OpaquePointer {
    let userdata = Unmanaged.passRetained(context)
    var operations = makeOperations()
    var io = makeDeviceIO()
    let session = withArguments(context.options.debug ? ["reelfs", "-d"] : ["reelfs"]) { arguments in
      fuse_session_new(&arguments, &operations, MemoryLayout<fuse_lowlevel_ops>.size, userdata.toOpaque())
    }
    guard let session else {
      userdata.release()
      throw .libfuse
    }
    // libfuse closes what it is given.
    let duplicate = fcntl(descriptor.rawValue, F_DUPFD_CLOEXEC, 3)
    guard duplicate >= 0, fuse_session_custom_io(session, &io, duplicate) == 0 else {
      let error = Errno(rawValue: errno)
      fuse_session_destroy(session)
      userdata.release()
      throw .device(error, doing: "handing the descriptor to libfuse")
    }
    return session
  }

  private static func withArguments<Value>(_ words: [String], _ body: (inout fuse_args) -> Value) -> Value {
    var arguments = fuse_args(argc: 0, argv: nil, allocated: 0)
    for word in words { _ = fuse_opt_add_arg(&arguments, word) }
    defer { fuse_opt_free_args(&arguments) }
    return body(&arguments)
  }
}

import CurlTransport
import FolderTransport
import Foundation
import Glibc
import RecordingFS
import Spool
import Synchronization
import SystemPackage
import UploadCore
import UploadProtocol

/// Spool, status and the upload loop of one mount, with the one thread that does all uploading.
final class Uploader: Sendable {
  let spool: Spool
  let statusTree: StatusTree
  private let reader: StatusReader
  private let board = StatusBoard()
  private let log: EventLog
  private let digests: BackgroundDigests
  private let controls: Mailbox<UploadEvent>
  private let route: Route
  private let policy: UploadPolicy
  private let wake: Waker
  private let mustStop = Atomic(false)
  /// Grows with each turn of the loop; 0 while recovery goes on, which may take as long as the disk needs.
  private let turns = Atomic<UInt64>(0)
  private let lastSign = Mutex((turns: UInt64(0), at: ContinuousClock.now))
  private let ended = DispatchSemaphore(value: 0)

  /// Ends the transport's wait, once there is a transport.
  private final class Waker: Sendable {
    private let target = Mutex<(@Sendable () -> Void)?>(nil)
    func set(_ wake: @escaping @Sendable () -> Void) { target.withLock { $0 = wake } }
    func wake() { target.withLock { $0 }?() }
  }

  init(_ configuration: MountConfiguration, state: StateDirectory, baseURL: String) throws {
    let route = try Route(configuration, state: state, baseURL: baseURL)
    self.route = route
    var policy = configuration.policy
    policy.geometry = route.geometry
    self.policy = policy
    let (wake, controls) = (Waker(), Mailbox<UploadEvent>())
    (self.wake, self.controls) = (wake, controls)
    var seal = SealPolicy()
    seal.maxLag = configuration.maxLag
    var quota = configuration.quota
    quota.rule = route.evictionRule
    let board = board
    let (journal, notice) = try Journal.openOrBegin(path: state.journal.string)
    if let notice { Terminal.complain(notice) }
    spool = Spool(
      tree: try SpoolTree(recordings: state.recordings, orphans: state.orphans),
      journal: journal, clock: SystemClock(), sealPolicy: seal,
      settleTime: configuration.settle, quota: quota, plansRuns: policy.geometry != .chunks,
      isStoring: { board.isStoring }, fetchChunk: route.fetcher(
        stallTimeout: policy.uploadTimeout, remote: { try journal.remoteFacts(of: $0) }),
      wake: { wake.wake() })
    digests = BackgroundDigests(spool: spool)
    reader = StatusReader(spool: spool, board: board, destination: baseURL)
    log = try EventLog(path: state.path.appending("events.jsonl"))
    let supervisor = getppid()
    statusTree = StatusTree(
      spool: spool, reader: reader, events: log.path,
      control: ControlFile(
        spool: spool,
        post: {
          controls.post($0)
          wake.wake()
        }, restart: { kill(supervisor, SIGUSR2) }),
      mountRecord: MountRecord(
        mountpoint: configuration.mountpoint, stateDirectory: configuration.stateDirectory, destination: baseURL,
        device: configuration.device, tokenFile: configuration.tokenFile, caFile: configuration.caFile
      ).json,
      isListed: !configuration.hidesStatus, hidesAttributes: configuration.hidesAttributes)
  }

  /// Starts the uploader thread; recovery is its first task, while the mount is already served.
  func start() {
    spool.regainLengths()
    let thread = Thread { [self] in
      do {
        try upload()
      } catch {
        Terminal.complain("the uploader could not start: \(error)")
        // The supervisor starts another worker; recorders wait for it meanwhile.
        exit(1)
      }
      ended.signal()
    }
    thread.name = "reelfs-upload"
    thread.stackSize = 1 << 20
    thread.start()
    spool.start()
  }

  /// A turn waits for the disk and the journal, but never for the network: one that takes longer is stuck for good.
  private static let turnMax = Duration.seconds(120)

  /// Whether the loop still turns. Wakes it, so that it can show so by the next time; from any thread.
  func isAlive() -> Bool {
    let turns = turns.load(ordering: .relaxed)
    wake.wake()
    return lastSign.withLock { last in
      if turns == 0 || turns != last.turns { last = (turns, .now) }
      return last.at.duration(to: .now) < Self.turnMax
    }
  }

  /// Ends what is in flight and leaves a journal that says everything a next start needs.
  func stop() {
    digests.stop()
    spool.settleAll()
    mustStop.store(true, ordering: .sequentiallyConsistent)
    wake.wake()
    ended.wait()
    spool.stop()
    spool.journal.close(isSynced: spool.synchronize())
  }

  /// Of this thread alone (on Linux, nice values belong to threads): when processors are short, recorders come first. At 5
  /// it still gets a third of what a busy program gets.
  private static let niceness: Int32 = 5

  private func upload() throws {
    setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
    switch route {
    case .receiver(let destination):
      let transport = try CurlTransport(
        destination: destination, policy: policy, clock: spool.clock, onListed: { [spool] in spool.learn($0, $1) },
        onUncompressed: { Terminal.complain($0) })
      wake.set(transport.wakeHandle.wake)
      try upload(SpoolSource(spool: spool), transport)
    case .folder(let store):
      let transport = FolderTransport(store, clock: spool.clock)
      defer { transport.stop() }
      wake.set { transport.wake() }
      try upload(SpoolSource(spool: spool), transport)
    case .s3(let store):
      let transport = try ConversationTransport(
        S3Destination(store, policy: policy), policy: policy, caFile: store.caFile, noProxy: store.noProxy,
        clock: spool.clock)
      wake.set(transport.wakeHandle.wake)
      try upload(ExchangeSource(spool: spool), transport)
    case .tus(let server):
      let transport = try ConversationTransport(
        TusDestination(server, policy: policy), policy: policy, caFile: server.caFile, noProxy: server.noProxy,
        clock: spool.clock)
      wake.set(transport.wakeHandle.wake)
      try upload(ExchangeSource(spool: spool), transport)
    }
  }

  private func upload<Source: TransferSource, Transport: UploadTransport>(
    _ source: Source, _ transport: Transport
  ) throws where Source.Payload == Transport.Payload {
    let watcher = try? NetworkWatcher { [controls, wake] in
      controls.post(.networkChanged)
      wake.wake()
    }
    defer { watcher?.stop() }
    var recovery = Recovery(spool: spool)
    let restored = try recovery.run()
    if spool.journal.isPausedByUser { controls.post(.control(.pauseAll)) }
    if recovery.report.recordings > 0 { Terminal.say(recovery.report.description) }
    spool.journal.uncheckedSessions.sorted().forEach(digests.add(unchecked:))
    recovery.forgotten.forEach(digests.add(forgotten:))
    // A thousand at a start; the rest at the next.
    for session in (try? spool.journal.withoutSHA256(max: 1_000)) ?? [] { digests.add(synced: session) }
    var generator = SystemRandomNumberGenerator()
    var loop = UploadLoop(
      scheduler: UploadScheduler(policy: policy, generator: SplitMix64(seed: generator.next())),
      clock: SystemClock(), journal: spool.journal, source: source, transport: transport,
      inbox: SpoolInbox(spool: spool, controls: controls, restored: restored),
      sink: StatusPublisher(board: board, log: log, reader: reader, onNotice: { [reader, digests] notice in
          if case .sessionUploadComplete(let session) = notice { digests.add(synced: session) }
          Notices.tell(notice, reader)
        }))
    // The first turn must not wait: nothing else may happen for hours, and what was restored is to be uploaded now.
    wake.wake()
    while !mustStop.load(ordering: .sequentiallyConsistent) {
      loop.turn()
      turns.add(1, ordering: .relaxed)
      spool.journal.checkpointIfLarge()
    }
    loop.stop()
  }
}

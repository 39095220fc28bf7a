import CurlTransport
import FolderTransport
import Foundation
import Glibc
import RecordingFS
import Spool
import Synchronization
import UploadCore
import UploadProtocol

/// The uploads to one destination: its route, its loop, and the one thread that does all of it.
final class DestinationUploader: Sendable {
  /// How it is called in every view.
  let name: String
  let board = StatusBoard()
  let route: Route
  let policy: UploadPolicy
  /// Commands and network changes, from any thread.
  let controls = Mailbox<UploadEvent>()
  let waker = Waker()
  private let mustStop = Atomic(false)
  /// Grows with each turn of the loop; 0 while its thread makes ready, which may take as long as the disk needs.
  private let turns = Atomic<UInt64>(0)
  private let lastSign = Mutex((turns: UInt64(0), at: ContinuousClock.now))
  private let ended = DispatchSemaphore(value: 0)

  /// Ends the transport's wait, once there is a transport.
  final class Waker: Sendable {
    /// The closure in a value: as in Spool's `Listener`.
    private struct Target: Sendable { let wake: @Sendable () -> Void }
    private let target = Mutex<Target?>(nil)
    func set(_ wake: @escaping @Sendable () -> Void) { target.withLock { $0 = Target(wake: wake) } }
    func wake() { target.withLock { $0 }?.wake() }
  }

  init(name: String, route: Route, policy: UploadPolicy) {
    self.name = name
    self.route = route
    var policy = policy
    policy.geometry = route.geometry
    policy.wholeBytesMax = route.wholeBytesMax
    self.policy = policy
  }

  func post(_ event: UploadEvent) {
    controls.post(event)
    waker.wake()
  }

  /// Runs `body`, which ends in `upload`, on the thread.
  func start(thread name: String, _ body: @escaping @Sendable () throws -> Void) {
    let thread = Thread { [self] in
      do {
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
        try body()
      } catch {
        Terminal.complain("the uploader to \(self.name) could not start: \(error)")
        // The supervisor starts another worker; recorders wait for it meanwhile.
        exit(1)
      }
      ended.signal()
    }
    thread.name = name
    thread.stackSize = 1 << 20
    thread.start()
  }

  /// Of this thread alone (on Linux, nice values belong to threads): when processors are short, recorders come first. At 5
  /// it still gets a third of what a busy program gets.
  private static let niceness: Int32 = 5

  /// A turn waits for the disk and the journal, but never for the network: one that takes longer is stuck for good.
  private static let turnMax = Duration.seconds(120)

  /// Whether the loop still turns. Wakes it, so that it can show so by the next time; from any thread.
  func isAlive() -> Bool {
    let turns = turns.load(ordering: .relaxed)
    waker.wake()
    return lastSign.withLock { last in
      if turns == 0 || turns != last.turns { last = (turns, .now) }
      return last.at.duration(to: .now) < Self.turnMax
    }
  }

  /// Ends what is in flight. `waitUntilEnded` returns when the journal says everything a next start needs.
  func stop() {
    mustStop.store(true, ordering: .sequentiallyConsistent)
    waker.wake()
  }

  func waitUntilEnded() { ended.wait() }

  /// Uploads until `stop`. On its own thread.
  /// - Parameters:
  ///   - onListed: what the destination lists of a session that the journal has no receipts of.
  ///   - afterTurn: called on the thread between turns.
  func upload(
    _ spool: Spool, _ journal: some DestinationJournal, _ inbox: some EventInbox, _ sink: some StatusSink,
    onListed: @escaping @Sendable (SessionID, [ListedChunk]) -> Void = { _, _ in }, afterTurn: () -> Void = {}
  ) throws {
    switch route {
    case .receiver(let destination):
      let transport = try CurlTransport(
        destination: destination, policy: policy, clock: spool.clock, onListed: onListed,
        onUncompressed: { Terminal.complain($0) })
      waker.set(transport.wakeHandle.wake)
      run(SpoolSource(spool: spool, journal: journal), transport, journal, inbox, sink, afterTurn)
    case .folder(let store):
      let transport = FolderTransport(store, clock: spool.clock)
      defer { transport.stop() }
      waker.set { transport.wake() }
      run(SpoolSource(spool: spool, journal: journal), transport, journal, inbox, sink, afterTurn)
    case .s3(let store):
      let transport = try ConversationTransport(
        S3Destination(store, policy: policy), policy: policy, caFile: store.caFile, noProxy: store.noProxy,
        clock: spool.clock)
      waker.set(transport.wakeHandle.wake)
      run(ExchangeSource(spool: spool, journal: journal), transport, journal, inbox, sink, afterTurn)
    case .tus(let server):
      let transport = try ConversationTransport(
        TusDestination(server, policy: policy), policy: policy, caFile: server.caFile, noProxy: server.noProxy,
        clock: spool.clock)
      waker.set(transport.wakeHandle.wake)
      run(ExchangeSource(spool: spool, journal: journal), transport, journal, inbox, sink, afterTurn)
    }
  }

  private func run<Source: TransferSource, Transport: UploadTransport>(
    _ source: Source, _ transport: Transport, _ journal: some DestinationJournal, _ inbox: some EventInbox,
    _ sink: some StatusSink, _ afterTurn: () -> Void
  ) where Source.Payload == Transport.Payload {
    var generator = SystemRandomNumberGenerator()
    var loop = UploadLoop(
      scheduler: UploadScheduler(policy: policy, generator: SplitMix64(seed: generator.next())), clock: SystemClock(),
      journal: journal, source: source, transport: transport, inbox: inbox, sink: sink)
    // The first turn must not wait: nothing else may happen for hours, and what was restored is to be uploaded now.
    waker.wake()
    while !mustStop.load(ordering: .sequentiallyConsistent) {
      loop.turn()
      turns.add(1, ordering: .relaxed)
      afterTurn()
    }
    loop.stop()
  }
}

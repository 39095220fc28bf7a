internal import DequeModule
internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage
public import UploadCore
public import UploadProtocol

/// The local side of all recordings: backing tree, journal, and the messages that tell the uploader what changed.
public final class Spool: Sendable {
  public let tree: SpoolTree
  public let journal: Journal
  public let clock: any MonotonicClock
  private let timing: Mutex<Timing>
  var progress: Progress { journal.progress }
  public let usage = SpoolUsage()
  /// The destination takes runs of chunks, so the scheduler needs to know which chunks are sealed.
  public let plansRuns: Bool
  /// A new recording of at most so many bytes is sealed when it has settled: until then it may become another one, and once it
  /// is finished it travels whole (`UploadPolicy.wholeBytesMax`). 0: all are sealed when they are closed.
  let wholeBytesMax: Int
  /// Set once in `init`; a back reference, because evictions go through recordings.
  public private(set) nonisolated(unsafe) var evictor: Evictor!
  /// The same.
  private(set) nonisolated(unsafe) var fetchBack: FetchBack!
  /// Further destinations' uploaders, in their order.
  private let feeds: [CopyFeed]
  private let fetchChunk: @Sendable (ChunkID) throws -> [UInt8]
  let mailbox = Mailbox<SpoolMessage>()
  private let wake: @Sendable () -> Void
  let table = Mutex(Table())

  private struct Timing {
    var sealPolicy: SealPolicy
    var settleTime: Span
  }

  struct Table {
    var recordings: [UInt64: Recording] = [:]
    var bySession: [SessionID: UInt64] = [:]
    /// Idle ones, least recently used first, kept open so that small files do not reload at every touch.
    var idle: [UInt64] = []
    var watched: [UInt64: Recording] = [:]
    /// Some of `watched` have more to seal than fits into one turn.
    var hasDraining = false
    /// When `watched` is looked through again.
    var nextLook = Instant(nanoseconds: 0)
    /// In order of their deadlines.
    var settling: Deque<Settling> = []
  }

  struct Settling {
    let deadline: Instant
    /// The table keeps it while it lives on. One that was deleted is closed at once: the disk takes its time to free what
    /// hundreds of them have, and a worker that is killed would die as slowly.
    weak var recording: Recording?
    let opening: Int
  }

  /// Idle recordings whose backing file stays open.
  static let idleMax = 64

  public init(
    tree: SpoolTree, journal: Journal, clock: any MonotonicClock, sealPolicy: SealPolicy, settleTime: Span,
    quota: SpoolQuota = SpoolQuota(), plansRuns: Bool = false, wholeBytesMax: Int = 0, feeds: [CopyFeed] = [],
    isStoring: @escaping @Sendable () -> Bool = { false }, needsRoom: @escaping @Sendable () -> Void = {},
    fetchChunk: @escaping @Sendable (ChunkID) throws -> [UInt8] = { _ in throw SpoolError.missing },
    wake: @escaping @Sendable () -> Void
  ) {
    self.tree = tree
    self.journal = journal
    self.clock = clock
    timing = Mutex(Timing(sealPolicy: sealPolicy, settleTime: settleTime))
    self.plansRuns = plansRuns
    self.wholeBytesMax = wholeBytesMax
    self.feeds = feeds
    self.fetchChunk = fetchChunk
    self.wake = wake
    evictor = Evictor(spool: self, quota: quota, isStoring: isStoring, needsRoom: needsRoom)
    fetchBack = FetchBack(spool: self)
    journal.onRecorded.withLock { $0 = Listener { [weak self] in self?.recorded($0) } }
    journal.onSealedAgain.withLock { $0 = Listener { [weak self] in self?.sealedAgain($0) } }
  }

  // MARK: Settings

  public var sealPolicy: SealPolicy { timing.withLock { $0.sealPolicy } }
  /// Between the last writer's close and `finished`: rename right after close, and reopening, are one session.
  public var settleTime: Span { timing.withLock { $0.settleTime } }

  /// From now on; a settle time that has begun ends as it would have.
  public func adopt(_ sealPolicy: SealPolicy, settleTime: Span, quota: SpoolQuota) {
    timing.withLock { $0 = Timing(sealPolicy: sealPolicy, settleTime: settleTime) }
    for recording in loadedRecordings { recording.state.withLock { $0.tracker?.policy = sealPolicy } }
    evictor.adopt(quota)
  }

  /// Tells the scheduler of a session that it may have forgotten or never loaded, before anything happens to it. Costs no
  /// look into the journal here: what it says is read when the uploader takes the message, so that no completion can come
  /// in between.
  public func introduce(_ session: SessionID) { post(.introduction(session)) }

  /// After a power cut, before anybody looks at a size: recordings are as long as they were, as far as the destination has
  /// them. One that cannot be had now is looked at again when it is opened.
  public func regainLengths() {
    for session in journal.uncheckedSessions.sorted() { try? recording(of: session).loadEvicted() }
  }

  /// Starts keeping to the quota.
  public func start() { evictor.start() }

  /// Gives up the local bytes of everything these sessions have stored, on the evictor's thread.
  public func evict(_ sessions: [SessionID]) { evictor.evictSoon(sessions) }

  /// Brings every recording to the disk, for a clean end: as after the unmounting of a disk, a power cut then takes nothing.
  /// - Returns: whether it is there.
  public func synchronize() -> Bool { syncfs(tree.root.rawValue) == 0 }

  /// Ends the evictor's thread after what it has in hand.
  public func stop() {
    evictor.stop()
    fetchBack.stop()
  }

  /// The recording of a session, loaded if it is not.
  func recording(of session: SessionID) throws -> Recording {
    if let known = knownRecording(session) { return known }
    guard let row = try journal.session(session) else { throw SpoolError.missing }
    return try recording(of: row)
  }

  func recording(of row: SessionRow) throws(SpoolError) -> Recording {
    if let known = knownRecording(row.session) { return known }
    let recording = try tree.reading { () throws(SpoolError) -> Recording in try self.recording(row.inode) }
    guard recording.session == row.session else { throw SpoolError.missing }
    return recording
  }

  /// An evicted chunk's bytes, from the destination.
  func fetch(_ chunk: ChunkID) throws -> [UInt8] { try fetchChunk(chunk) }

  func prefetch(_ recording: Recording, _ indexes: [Int]) { evictor.prefetch(recording, indexes) }

  // MARK: From names (within `tree.changing`)

  /// A file that was made without a name (O_TMPFILE) and is open has its first one: from now on it is a recording.
  public func named(_ inode: UInt64) throws(SpoolError) {
    guard let recording = knownRecording(inode) else { return }
    let path = try tree.pathBelowRoot(inode)
    post(.event(.registered(recording.session, SessionFacts(path: path, inode: inode))))
    try recording.named()
  }

  /// The recording, or every recording below the folder, has a new path.
  public func renamed(_ inode: UInt64, isFolder: Bool) {
    if isFolder { return post(.folderRenamed(inode)) }
    guard let session = session(of: inode), let path = try? tree.pathBelowRoot(inode) else { return }
    introduce(session)
    post(.event(.renamed(session, SessionFacts(path: path, inode: inode))))
  }

  // MARK: From recordings

  func post(_ message: SpoolMessage) {
    if mailbox.post(message) { wake() }
  }

  /// More seals can wait: whoever has one keeps its chunk unsealed, and is drained later.
  var hasMailEnough: Bool { mailbox.isFull || feeds.contains { $0.isFull } }

  /// Seals the rest of this recording batch by batch, one in each turn of the uploader.
  func drain(_ recording: Recording) {
    table.withLock { table in
      table.watched[recording.inode] = recording
      table.hasDraining = true
    }
    wake()
  }

  func watch(_ recording: Recording) {
    let isFirst = table.withLock { table in
      table.watched[recording.inode] = recording
      return table.watched.count == 1
    }
    if isFirst { wake() }
  }

  /// Somebody writes, or did until a moment ago.
  var isRecording: Bool { table.withLock { !$0.watched.isEmpty } }

  func unwatch(_ recording: Recording) { table.withLock { $0.watched[recording.inode] = nil } }

  func settle(_ recording: Recording, opening: Int) {
    let deadline = clock.now + settleTime
    table.withLock { table in
      // At the end, unless the settle time has become shorter meanwhile.
      let place = table.settling.lastIndex { $0.deadline <= deadline }.map { $0 + 1 } ?? 0
      table.settling.insert(Settling(deadline: deadline, recording: recording, opening: opening), at: place)
    }
    wake()
  }

  /// Forgets recordings that nobody has open and that the journal knows wholly, the least recently used first.
  func handleClosed(_ recording: Recording) {
    if recording.isRemoved, !recording.hasHandles {
      drop(recording)
      if tree.isOrphan(recording.inode) {
        try? Backing.unlink(SpoolTree.orphanName(recording.inode), in: tree.orphans)
        tree.forget(recording.inode)
      }
      return
    }
    if recording.isIdle { keepIdle(recording.inode) }
  }

  /// The journal holds these facts. On the uploader thread.
  private func recorded(_ facts: [JournalFact]) {
    for case .finished(let session, _) in facts { finishRecorded(session) }
    guard !feeds.isEmpty else { return }
    let messages = facts.flatMap(CopyFeed.messages)
    if !messages.isEmpty { for feed in feeds { feed.tell(messages) } }
  }

  /// For a further destination a chunk became a later version. The first one's uploader records it once more, which changes
  /// nothing, and so the others hear of it.
  private func sealedAgain(_ sealed: SealedAgain) {
    introduce(sealed.chunk.session)
    post(.event(.sealed(sealed.chunk, sealed.version, bytes: sealed.bytes)))
  }

  private func finishRecorded(_ session: SessionID) {
    guard let recording = knownRecording(session) else { return }
    recording.finishRecorded()
    if recording.isIdle { keepIdle(recording.inode) }
  }

  func keepIdle(_ inode: UInt64) {
    table.withLock { table in
      table.idle.removeAll { $0 == inode }
      table.idle.append(inode)
      while table.idle.count > Self.idleMax {
        let oldest = table.idle.removeFirst()
        guard let recording = table.recordings[oldest], recording.isIdle else { continue }
        table.recordings[oldest] = nil
        table.bySession[recording.session] = nil
      }
    }
  }
}

/// What recordings tell the uploader thread.
enum SpoolMessage: Sendable {
  case event(UploadEvent)
  /// An event about this session follows.
  case introduction(SessionID)
  /// The folder with this inode has a new path, and so has every recording below it.
  case folderRenamed(UInt64)
}

internal import DequeModule
internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage
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
  private let mailbox = Mailbox<SpoolMessage>()
  private let wake: @Sendable () -> Void
  private let table = Mutex(Table())

  private struct Timing {
    var sealPolicy: SealPolicy
    var settleTime: Span
  }

  private struct Table {
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

  private struct Settling {
    let deadline: Instant
    /// The table keeps it while it lives on. One that was deleted is closed at once: the disk takes its time to free what
    /// hundreds of them have, and a worker that is killed would die as slowly.
    weak var recording: Recording?
    let opening: Int
  }

  /// Idle recordings whose backing file stays open.
  private static let idleMax = 64

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

  // MARK: Recordings

  /// Opens the recording with this backing inode. Balance it with `Recording.closed`. Within `tree.reading`.
  public func open(_ inode: UInt64, forWriting writes: Bool) throws(SpoolError) -> Recording {
    // Again only when the recording was dropped from the table in between, which needs it to be idle.
    while true {
      let recording = try self.recording(inode)
      if writes { introduce(recording.session) }
      try recording.opened(forWriting: writes)
      if table.withLock({ $0.recordings[inode] === recording }) { return recording }
      recording.closed(forWriting: writes)
    }
  }

  /// The recording with this backing inode, loaded if it is not. Within `tree.reading`.
  public func recording(_ inode: UInt64) throws(SpoolError) -> Recording {
    if let known = table.withLock({ $0.recordings[inode] }) { return known }
    let (descriptor, path) = try openBacking(inode)
    guard let session = Self.session(of: descriptor) else {
      return try adopt(descriptor, inode: inode, path: path, isNew: false)
    }
    let isNamed = !tree.isOrphan(inode)
    // So young that the previous worker died before the journal heard of it.
    if isNamed, isUnknown(session) {
      post(.event(.registered(session, SessionFacts(path: path, inode: inode))))
    }
    let recording = insert(
      Recording(inode: inode, session: session, descriptor: descriptor, isNew: false, isNamed: isNamed, spool: self))
    // Whoever only reads a chunk of it never closes it.
    keepIdle(inode)
    return recording
  }

  private static func session(of file: FileDescriptor) -> SessionID? {
    Backing.attribute(Backing.sessionAttribute, of: file).flatMap { SessionID(text: $0) }
  }

  /// The journal can be read and has no such session.
  private func isUnknown(_ session: SessionID) -> Bool {
    do { return try journal.session(session) == nil } catch { return false }
  }

  /// Opens the backing file of this inode. A remembered place that has become another file's is looked for again, once.
  private func openBacking(_ inode: UInt64) throws(SpoolError) -> (FileDescriptor, path: [UInt8]) {
    for _ in 0..<2 {
      let (folder, path) = try tree.locate(inode)
      let descriptor = try openBacking(path, in: folder)
      if try Backing.status(descriptor).inode == inode { return (descriptor, path) }
      try? descriptor.close()
      tree.forget(inode)
    }
    throw .missing
  }

  /// The recording, if it is open or was a moment ago.
  public func knownRecording(_ inode: UInt64) -> Recording? { table.withLock { $0.recordings[inode] } }
  /// Those that a writer has open.
  public var openRecordings: [Recording] { loadedRecordings.filter(\.hasWriters) }
  /// All of those.
  var loadedRecordings: [Recording] { table.withLock { Array($0.recordings.values) } }
  public var loadedSessions: [SessionID] { table.withLock { Array($0.bySession.keys) } }
  public func knownRecording(_ session: SessionID) -> Recording? {
    table.withLock { table in table.bySession[session].flatMap { table.recordings[$0] } }
  }

  /// Gives a session to a backing file that has none: one just created (`isNew`), or one found. Of two threads that do so
  /// at once, as the one that creates it and recovery's, the first one's session is the file's.
  public func adopt(_ descriptor: FileDescriptor, inode: UInt64, path: [UInt8], isNew: Bool) throws(SpoolError)
    -> Recording
  {
    var generator = SystemRandomNumberGenerator()
    var session = SessionID.random(using: &generator)
    do {
      try Backing.setAttribute(Backing.sessionAttribute, session.description, flags: Int32(XATTR_CREATE), of: descriptor)
    } catch .io(.fileExists, _) {
      if let first = Self.session(of: descriptor) {
        session = first
      } else {
        // Somebody else's text.
        try Backing.setAttribute(Backing.sessionAttribute, session.description, of: descriptor)
      }
    } catch .io(.notSupported, _) {
      // A file system without user attributes: the journal's inode and path must do.
    }
    let isNamed = !tree.isOrphan(inode)
    let recording = insert(
      Recording(inode: inode, session: session, descriptor: descriptor, isNew: isNew, isNamed: isNamed, spool: self))
    if isNamed, recording.session == session {
      post(.event(.registered(session, SessionFacts(path: path, inode: inode))))
    }
    return recording
  }

  /// Two threads may open the same recording at once: the first one's object serves both.
  private func insert(_ recording: Recording) -> Recording {
    table.withLock { table in
      if let known = table.recordings[recording.inode] { return known }
      table.recordings[recording.inode] = recording
      table.bySession[recording.session] = recording.inode
      return recording
    }
  }

  /// The session of a backing file that need not be open.
  public func session(of inode: UInt64) -> SessionID? {
    if let known = knownRecording(inode) { return known.session }
    guard let path = try? tree.absolutePath(inode),
      let value = try? Backing.attribute(Array(Backing.sessionAttribute.utf8), of: path)
    else { return nil }
    return SessionID(text: String(decoding: value, as: UTF8.self))
  }

  /// The last name of `inode` has gone. Within `tree.changing`.
  /// - Parameter bytes: what its file took of the disk.
  public func removed(_ inode: UInt64, session: SessionID?, bytes: Int64) {
    if let session { introduce(session) }
    if let recording = knownRecording(inode) {
      recording.removed()
      if !recording.hasHandles { drop(recording) }
    } else {
      usage.add(-bytes)
      if let session { post(.event(.removed(session))) }
    }
  }

  /// An unlinked recording that nobody has open any more: its bytes are free.
  private func drop(_ recording: Recording) {
    recording.uncount()
    table.withLock { table in
      guard table.recordings[recording.inode] === recording else { return }
      table.recordings[recording.inode] = nil
      table.bySession[recording.session] = nil
      table.watched[recording.inode] = nil
    }
  }

  /// As the owner of every backing file, reelfs may open those whose mode forbids it to others.
  private func openBacking(_ path: [UInt8], in folder: FileDescriptor) throws(SpoolError) -> FileDescriptor {
    do {
      return try Backing.open(path, in: folder, flags: O_RDWR)
    } catch .io(.permissionDenied, _) {
      let mode = try Backing.status(path, in: folder).mode & 0o7777
      try Backing.changeMode(path, in: folder, mode: mode | 0o600)
      defer { try? Backing.changeMode(path, in: folder, mode: mode) }
      return try Backing.open(path, in: folder, flags: O_RDWR)
    }
  }

  func loadTracker(_ session: SessionID, size: Int64, evicted: ChunkSet) throws(SpoolError) -> ChunkTracker {
    guard size <= ChunkLayout.sizeMax else { throw .io(.fileTooLarge, what: "a recording of \(size) bytes") }
    let count = ChunkLayout.chunkCount(size: size)
    do {
      var chunks = try journal.chunks(of: session, count: count)
      // Not unsealed bytes but bytes that are elsewhere, also when a new journal has no row of them.
      for index in evicted.indexes where index < count { chunks.handedOff.insert(index) }
      // A power cut can have shortened a file behind the journal's back.
      if chunks.hasExcess { chunks.baseVersion = try journal.drop(session, from: count) }
      var changed = chunks.short
      if count > 0, let bytes = chunks.lastBytes, chunks.handedOff.contains(count - 1),
        bytes != ChunkLayout.byteCount(of: count - 1, size: size)
      {
        changed.append(count - 1)
      }
      if !changed.isEmpty { chunks.reopened.merge(try journal.reopen(session, changed)) { $1 } }
      for index in changed { chunks.handedOff.remove(index) }
      return ChunkTracker(
        size: size, baseVersion: chunks.baseVersion, handedOff: chunks.handedOff, reopened: chunks.reopened,
        policy: sealPolicy, now: clock.now)
    } catch {
      throw SpoolError(error)
    }
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

  private func keepIdle(_ inode: UInt64) {
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

  // MARK: For the inbox

  /// Chunks sealed in one turn, give or take a recording's batch: a hole of terabytes, or what was left unsealed while the
  /// mailbox was full, becomes events and rows turn by turn.
  private static let sealsMax = 4_096

  /// Seals what is due and ends settle times. Called on the uploader thread.
  func runTimers(now: Instant) {
    let (watched, settled) = table.withLock { table -> ([Recording], [Settling]) in
      let settled = Array(table.settling.prefix { $0.deadline <= now })
      table.settling.removeFirst(settled.count)
      // Not at every turn: thousands may be watched.
      guard table.hasDraining || table.nextLook <= now else { return ([], settled) }
      table.hasDraining = false
      table.nextLook = now + Self.watchInterval
      return (Array(table.watched.values), settled)
    }
    for end in settled { end.recording?.settled(opening: end.opening) }
    var budget = Self.sealsMax
    for recording in watched {
      guard budget > 0 else { return table.withLock { $0.hasDraining = true } }
      switch recording.sealDue(now: now, &budget) {
      case .nothingLeft, .later: break
      case .atOnce: table.withLock { $0.hasDraining = true }
      }
    }
  }

  /// Ends every settle time at once: the mount is gone, nobody comes back.
  public func settleAll() {
    let settling = table.withLock { table in
      defer { table.settling = [] }
      return Array(table.settling)
    }
    for end in settling { end.recording?.settled(opening: end.opening) }
  }

  func drainMailbox() -> [SpoolMessage] { mailbox.drain() }

  /// Between two looks at recordings with unsealed chunks: fine enough for delays of seconds, and idle when there are none.
  private static let watchInterval = Span.milliseconds(250)

  func timerDeadline(now: Instant) -> Instant? {
    table.withLock { table in
      if table.hasDraining { return now }
      let watch = table.watched.isEmpty ? nil : max(now, table.nextLook)
      guard let settle = table.settling.first?.deadline else { return watch }
      return watch.map { min($0, settle) } ?? settle
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

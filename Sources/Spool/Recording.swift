internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage
public import UploadCore
public import UploadProtocol

/// One recording that is open, or was a moment ago: its backing file, and which of its chunks have changed.
///
/// Methods are called on kernel threads and on the uploader thread. Locks, in order: `rewriting`, then `state`; the
/// spool's own locks come after. No lock is held while a recorder's bytes are written; `rewriting` is held over a journal commit.
public final class Recording: Sendable {
  public let inode: UInt64
  public let session: SessionID
  /// Open for reading and writing for as long as this object lives.
  public let descriptor: FileDescriptor
  let spool: Spool
  let state: Mutex<State>
  /// Held while bytes of this recording are given up or fetched back. Before `state`.
  let hydrating = Mutex<Void>(())
  /// Held while fetched bytes are written, and while the backing file is cut: what was cut off does not come back.
  let placing = Mutex<Void>(())
  /// Held while the file's times are set, by a program or by us. Before `state`.
  let timing = Mutex<Void>(())
  /// Held while the journal reopens or drops chunks of this recording.
  let rewriting = Mutex<Void>(())
  /// Held while the backing file is synced; why that failed, until nobody has the recording open any more.
  private let synchronizing = Mutex<SpoolError?>(nil)

  struct State {
    /// Loaded when the first writer comes.
    var tracker: ChunkTracker?
    var handles = 0
    var writers = 0
    var isRemoved = false
    /// In the spool's list of recordings with unsealed chunks.
    var isWatched = false
    /// Counts writers that came, so that a settle time that was interrupted does not end.
    var openings = 0
    /// The opening whose settle time is over, and how many `finished` the journal has still to record.
    var settledOpening = 0
    /// The opening in which the journal was last made durable, so that a power cut finds this recording marked as open.
    var durableOpening = 0
    /// When a writer came, or changed something, last.
    var lastChange = Instant(nanoseconds: 0)
    var unrecordedFinishes = 0
    /// More is to be sealed than fits into one turn of the uploader.
    var isDraining = false
    /// The opening whose settle time was over before all was sealed.
    var unsealedFinish: Int?

    /// Stored chunks whose local bytes are gone, once they have been asked for.
    var evicted = ChunkSet()
    var isEvictionKnown = false
    /// Chunks that the backing file's attribute names as evicted: may be here again, but have not changed since.
    var marked = ChunkSet()
    /// Stored chunks that have not been compared with the disk since a power cut.
    var unchecked = ChunkSet()
    /// Reads under way: nothing is evicted meanwhile.
    var readers = 0
    /// Changes of bytes that a program asked for: under way, and ended so far.
    var changing = 0
    var changed = 0
    /// Bytes on the local disk when last looked at, and whether they are in the spool's usage.
    var accounted: Int64 = 0
    var isCounted = false

    /// Nothing of it has been sealed, and it is small.
    func mayTravelWhole(_ bytesMax: Int) -> Bool {
      guard let tracker, tracker.size <= bytesMax else { return false }
      return tracker.isNew
    }

    var isWhole: Bool { evicted.isEmpty && unchecked.isEmpty }

    /// Recorders go back to the start of what they write, and to its end: were these bytes elsewhere, a recorder would meet
    /// a network that is away.
    func isGoneBackTo(_ index: Int) -> Bool {
      guard writers > 0, let tracker else { return false }
      return index == 0 || index >= ChunkLayout.chunkCount(size: tracker.size) - 2
    }

    /// The journal knows all that was posted of this recording.
    var isQuiet: Bool { writers == 0 && settledOpening == openings && unrecordedFinishes == 0 }
  }

  init(inode: UInt64, session: SessionID, descriptor: FileDescriptor, isNew: Bool, isNamed: Bool, spool: Spool) {
    self.inode = inode
    self.session = session
    self.descriptor = descriptor
    self.spool = spool
    var state = State()
    if isNew {
      state.tracker = ChunkTracker(
        size: 0, baseVersion: .first, handedOff: ChunkSet(), reopened: [:], policy: spool.sealPolicy,
        now: spool.clock.now)
      state.isEvictionKnown = true
    } else {
      state.accounted = ((try? Backing.status(descriptor))?.blocks ?? 0) * 512
    }
    state.isRemoved = !isNamed
    // An older recording is counted when recovery comes by, unless it has been there.
    state.isCounted = isNew || spool.usage.isComplete
    self.state = Mutex(state)
  }

  deinit { try? descriptor.close() }

  // MARK: Handles

  public func opened(forWriting writes: Bool) throws(SpoolError) {
    try loadEvicted()
    if writes { try loadTracker() }
    state.withLock { state in
      state.handles += 1
      guard writes else { return }
      state.writers += 1
      state.openings += 1
      state.lastChange = spool.clock.now
      if state.writers == 1, !state.isRemoved { spool.post(.event(.opened(session))) }
    }
  }

  /// Since when nobody has changed anything, although a writer has it open; nil: no writer has.
  public var quietSince: Instant? { state.withLock { $0.writers > 0 && !$0.isRemoved ? $0.lastChange : nil } }

  /// The last writer's going seals what is open and begins the settle time.
  public func closed(forWriting wrote: Bool) {
    var isLast = false
    let settling = state.withLock { state -> Int? in
      state.handles -= 1
      isLast = state.handles == 0
      guard wrote else { return nil }
      state.writers -= 1
      guard state.writers == 0, !state.isRemoved else { return nil }
      account(&state)
      if !state.mayTravelWhole(spool.wholeBytesMax) { sealAll(&state) }
      return state.openings
    }
    // Whoever opens it now begins anew, as on a disk.
    if isLast { synchronizing.withLock { $0 = nil } }
    if let settling { spool.settle(self, opening: settling) }
    spool.handleClosed(self)
  }

  /// The settle time that began with `opening` is over: unless a writer came back, the recording is finished.
  func settled(opening: Int) {
    state.withLock { state in
      guard state.openings == opening, state.writers == 0, !state.isRemoved, state.tracker != nil else { return }
      sealAll(&state)
      guard let tracker = state.tracker, tracker.isSealed else { return state.unsealedFinish = opening }
      // Within the lock, as in `sealDue`. From here on it may be forgotten.
      state.isWatched = false
      spool.unwatch(self)
      finish(opening, tracker.size, &state)
    }
  }

  private func finish(_ opening: Int, _ size: Int64, _ state: inout State) {
    state.unsealedFinish = nil
    state.settledOpening = opening
    state.unrecordedFinishes += 1
    spool.post(.event(.finished(session, size: size)))
  }

  /// The journal has recorded a `finished`, and so everything before it.
  func finishRecorded() { state.withLock { $0.unrecordedFinishes = max(0, $0.unrecordedFinishes - 1) } }

  /// Its name is gone: it is dropped from the queue, while open handles go on.
  public func removed() {
    state.withLock { state in
      guard !state.isRemoved else { return }
      state.isRemoved = true
      spool.post(.event(.removed(session)))
    }
  }

  /// It had no name and has one now: all of its bytes are new to the uploader. Within `tree.changing`.
  func named() throws(SpoolError) {
    let size = try Backing.status(descriptor).size
    let tracker = try spool.loadTracker(session, size: size, evicted: ChunkSet())
    let settling = state.withLock { state -> Int? in
      (state.isRemoved, state.tracker) = (false, tracker)
      if state.writers > 0 { spool.post(.event(.opened(session))) }
      account(&state)
      watch(&state)
      guard state.writers == 0 else { return nil }
      sealAll(&state)
      return state.openings
    }
    if let settling { spool.settle(self, opening: settling) }
  }

  public var hasHandles: Bool { state.withLock { $0.handles > 0 } }
  public var hasWriters: Bool { state.withLock { $0.writers > 0 } }
  public var isRemoved: Bool { state.withLock { $0.isRemoved } }
  /// May be forgotten: nobody has it open, and the journal knows all of it.
  var isIdle: Bool { state.withLock { $0.handles == 0 && ($0.isQuiet || $0.isRemoved) } }

  /// When the oldest byte came to be that is not sealed yet.
  public var oldestUnsealed: Instant? { state.withLock { $0.tracker?.oldestUnsealed } }

  // MARK: Durability

  /// fsync(2): when it returns, a power cut of this machine loses nothing that was written before. The journal comes first:
  /// what it vouches for must not be newer than what it knows.
  public func synchronize(dataOnly: Bool) throws(SpoolError) {
    do { try spool.journal.makeDurable() } catch { throw SpoolError(error) }
    try synchronizeBacking(dataOnly: dataOnly)
  }

  /// Syncs the backing file. A sync that failed makes every later one of these handles fail as well: the kernel tells of an
  /// error once, calls the pages clean that it could not write, and would answer the next sync that all is well.
  func synchronizeBacking(dataOnly: Bool) throws(SpoolError) {
    try synchronizing.withLock { failure throws(SpoolError) in
      if let failure { throw failure }
      do throws(SpoolError) { try Backing.synchronize(descriptor, dataOnly: dataOnly) } catch {
        failure = error
        throw error
      }
    }
  }

  /// Seals what is open and returns when everything written before the call is stored at the destination, or the recording
  /// is gone. Waits as long as it takes: the caller asked for it (`--fsync remote`).
  public func synchronizeRemotely() throws(SpoolError) {
    flush()
    let size = try Backing.status(descriptor).size
    let count = ChunkLayout.chunkCount(size: size)
    while !isRemoved {
      if state.withLock({ $0.tracker?.isSealed ?? true }) {
        do {
          if try spool.journal.isStored(session, chunks: count) { return }
        } catch { throw SpoolError(error) }
      }
      spool.progress.wait()
    }
  }

  // MARK: Room

  /// Bytes by which a write up to `end` extends the recording: what is rewritten in place needs no room.
  func growth(to end: Int64) -> Int64 { state.withLock { max(0, end - ($0.tracker?.size ?? 0)) } }

  /// Looks how much of the local disk the recording takes, for the spool's usage.
  func account() { state.withLock { account(&$0) } }

  func account(_ state: inout State) {
    guard let blocks = try? Backing.status(descriptor).blocks else { return }
    if state.isCounted { spool.usage.add(blocks * 512 - state.accounted) }
    state.accounted = blocks * 512
  }

  /// Its file is gone.
  func uncount() {
    state.withLock { state in
      if state.isCounted { spool.usage.add(-state.accounted) }
      state.isCounted = false
    }
  }

  /// Recovery comes by: from now on this recording is in the spool's usage.
  /// - Parameter isKnown: recovery has added its bytes already, before this object came to be.
  func count(isKnown: Bool) {
    state.withLock { state in
      guard !state.isCounted else { return }
      state.isCounted = true
      if !isKnown { spool.usage.add(state.accounted) }
    }
  }

  // MARK: Sealing

  /// When there is something to seal again.
  enum NextSeal { case nothingLeft, later, atOnce }

  /// Seals what has been quiet long enough, or the next batch of what could not be sealed at once.
  /// - Parameter budget: less by what was sealed.
  func sealDue(now: Instant, _ budget: inout Int) -> NextSeal {
    state.withLock { state in
      guard !state.isRemoved, state.tracker != nil else {
        spool.unwatch(self)
        return .nothingLeft
      }
      let sealed = state.isDraining ? state.tracker!.sealAll() : state.tracker!.sealDue(now: now)
      budget -= sealed.count
      for chunk in sealed { post(chunk, state) }
      state.isDraining = state.isDraining && sealed.count >= spool.sealPolicy.batch
      state.isWatched = !state.tracker!.isSealed
      if state.isWatched { return state.isDraining ? .atOnce : .later }
      if let opening = state.unsealedFinish, opening == state.openings, state.writers == 0 {
        finish(opening, state.tracker!.size, &state)
      }
      // Within the lock: a write that comes now watches it anew.
      spool.unwatch(self)
      return .nothingLeft
    }
  }

  /// Seals what is open now, although the recorder goes on: somebody wants it sent at once.
  public func flush() { state.withLock { sealAll(&$0) } }

  /// One batch now; the uploader goes on with the rest, turn by turn.
  private func sealAll(_ state: inout State) {
    guard state.tracker != nil, !state.isRemoved else { return }
    let sealed = spool.hasMailEnough ? [] : state.tracker!.sealAll()
    for chunk in sealed { post(chunk, state) }
    guard !state.tracker!.isSealed else { return }
    state.isWatched = true
    state.isDraining = true
    spool.drain(self)
  }

  func post(_ chunk: SealedChunk, _ state: borrowing State) {
    guard !state.isRemoved else { return }
    spool.post(.event(.sealed(ChunkID(session, chunk.index), chunk.version, bytes: chunk.bytes)))
  }

  func watch(_ state: inout State) {
    guard !state.isWatched, !state.isRemoved, state.tracker?.isSealed == false else { return }
    state.isWatched = true
    spool.watch(self)
  }

  /// Reads from the journal which chunks it vouches for. Chunks that it does not know are unsealed.
  private func loadTracker() throws(SpoolError) {
    try rewriting.withLock { _ throws(SpoolError) in
      guard state.withLock({ $0.tracker == nil }) else { return }
      let size = try Backing.status(descriptor).size
      let tracker = try spool.loadTracker(session, size: size, evicted: state.withLock { $0.evicted })
      state.withLock { state in
        state.tracker = tracker
        watch(&state)
      }
    }
  }
}

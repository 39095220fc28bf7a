import UploadCore
import UploadProtocol

/// The journal as the real one promises to be: rows, and a log of commits since the last sync (WAL, `synchronous =
/// NORMAL`). A killed process loses nothing; a power cut loses the last commits.
struct SimulatedJournal {
  enum ChunkState { case open, sealed, stored, evicted }

  struct ChunkRow {
    var version: ChunkVersion
    var state: ChunkState
    /// When it was sealed last.
    var bytes = 0
    var digest: ChunkDigest?
    /// When the oldest change was sealed that is not stored yet: what age means.
    var waitsSince: Instant?

    /// The destination has confirmed it.
    var isConfirmed: Bool { state == .stored || state == .evicted }

    /// As destinations of other geometries see it.
    var publicState: UploadCore.ChunkRow.State {
      switch state {
      case .open: .open
      case .sealed: .sealed
      case .stored: .stored
      case .evicted: .evicted
      }
    }
  }

  struct SessionRow {
    var facts: SessionFacts
    var chunks: [Int: ChunkRow] = [:]
    var isAnnounced = false
    var isFinished = false
    var size: Int64 = 0
    var isSynced = false
    var failure: String?
    var priority = UploadPriority.normal
    var isHeld = false
    /// Counts changes of content.
    var revision: Int64 = 0
    /// Above every version that a truncation ever dropped.
    var baseVersion = ChunkVersion.first
    /// Cuts that the uploader has not heard of: seals of before one of them, still on their way, bring nothing back.
    var truncations: [Int: ChunkVersion] = [:]
    /// What the destination told, by name.
    var remote: [String: String] = [:]

    func isCutOff(_ index: Int, _ version: ChunkVersion) -> Bool {
      truncations.contains { $0.key <= index && $0.value > version }
    }
  }

  struct Rows {
    var sessions: [SessionID: SessionRow] = [:]
    var isPausedByUser = false
  }

  /// One transaction.
  enum Commit {
    case facts([JournalFact])
    case reopen(SessionID, [Int])
    case drop(SessionID, from: Int)
    case evict(SessionID, [Int])
    case hydrate(ChunkID)
    /// A process has ended: what was on its way within it does not come any more.
    case forgetTruncations
    /// After a power cut: sealed chunks may have other bytes than were sent of them in part.
    case distrust(SessionID)
  }

  private(set) var rows = Rows()
  private var durable = Rows()
  private var unsynced: [(commit: Commit, moment: Instant)] = []
  /// Beyond, a checkpoint syncs the log.
  private static let unsyncedMax = 256
  /// Its disk is full: every commit fails.
  var isFailing = false
  private var now = Instant(nanoseconds: 0)
  /// Every chunk and session that was ever recorded as stored or synced: what people may be told.
  private(set) var everStored: Set<ChunkID> = []
  private(set) var everSynced: Set<SessionID> = []

  mutating func commit(_ commit: Commit, at now: Instant) {
    if unsynced.count == Self.unsyncedMax { sync() }
    unsynced.append((commit, now))
    replay(commit, at: now)
  }

  /// All commits so far survive a power cut.
  mutating func sync() {
    durable = rows
    unsynced = []
  }

  /// - Parameter survivors: commits since the last sync that reached the disk all the same; the first ones, in order.
  mutating func cutPower(survivors: Int) {
    rows = durable
    for (commit, moment) in unsynced.prefix(survivors) { replay(commit, at: moment) }
    sync()
  }

  var unsyncedCount: Int { unsynced.count }

  private mutating func replay(_ commit: Commit, at moment: Instant) {
    now = moment
    switch commit {
    case .facts(let facts): for fact in facts { apply(fact) }
    case .reopen(let session, let indexes): reopen(session, indexes)
    case .drop(let session, let index): drop(session, from: index)
    case .evict(let session, let indexes):
      for index in indexes { rows.sessions[session]?.chunks[index]?.state = .evicted }
    case .hydrate(let chunk): rows.sessions[chunk.session]?.chunks[chunk.index]?.state = .stored
    case .distrust(let session):
      for (index, row) in rows.sessions[session]?.chunks ?? [:] where row.state == .sealed {
        rows.sessions[session]?.chunks[index]?.version = row.version.next
      }
    case .forgetTruncations: for session in rows.sessions.keys { rows.sessions[session]?.truncations = [:] }
    }
  }

  // MARK: What the uploader records

  private mutating func apply(_ fact: JournalFact) {
    switch fact {
    case .registered(let session, let facts):
      rows.sessions[session, default: SessionRow(facts: facts)].facts = facts
    case .opened(let session): rows.sessions[session]?.isFinished = false
    case .sealed(let chunk, let version, let bytes): seal(chunk, version, bytes)
    case .stored(let chunk, let version, let digest): store(chunk, version, digest)
    case .unstored(let chunk):
      guard rows.sessions[chunk.session]?.chunks[chunk.index]?.state == .stored else { return }
      rows.sessions[chunk.session]?.chunks[chunk.index]?.state = .sealed
      rows.sessions[chunk.session]?.chunks[chunk.index]?.waitsSince = now
      changed(chunk.session)
    case .rolledBack(let session, let index):
      for (place, row) in rows.sessions[session]?.chunks ?? [:] where place >= index && row.state == .stored {
        rows.sessions[session]?.chunks[place]?.state = .sealed
        rows.sessions[session]?.chunks[place]?.waitsSince = now
      }
      changed(session)
    case .remote(let session, let fact): rows.sessions[session]?.remote[fact.name] = fact.value
    case .superseded(let chunk, let current): supersede(chunk, current)
    case .dropped(let session, let index, let base):
      drop(session, from: index, below: base)
      let later = rows.sessions[session]?.truncations.filter { $0.value > base }
      rows.sessions[session]?.truncations = later ?? [:]
    case .renamed(let session, let facts):
      rows.sessions[session]?.facts = facts
      rows.sessions[session]?.isAnnounced = false
      rows.sessions[session]?.revision += 1
    case .announced(let session, let facts):
      if rows.sessions[session]?.facts == facts { rows.sessions[session]?.isAnnounced = true }
    case .unannounced(let session): rows.sessions[session]?.isAnnounced = false
    case .finished(let session, let size):
      rows.sessions[session]?.isFinished = true
      rows.sessions[session]?.size = size
    case .synced(let session, let revision):
      guard rows.sessions[session]?.revision == revision else { return }
      rows.sessions[session]?.isSynced = true
      everSynced.insert(session)
    case .failed(let session, let message): rows.sessions[session]?.failure = message
    case .failureCleared(let session): rows.sessions[session]?.failure = nil
    case .held(let session, let isHeld): rows.sessions[session]?.isHeld = isHeld
    case .prioritized(let session, let priority): rows.sessions[session]?.priority = priority
    case .removed(let session): rows.sessions[session] = nil
    case .pausedByUser(let isPaused): rows.isPausedByUser = isPaused
    case .attempted: break
    }
  }

  private mutating func seal(_ chunk: ChunkID, _ version: ChunkVersion, _ bytes: Int) {
    guard let row = rows.sessions[chunk.session], !row.isCutOff(chunk.index, version) else { return }
    let old = row.chunks[chunk.index]
    if let old {
      guard version > old.version || (version == old.version && old.state == .open) else { return }
    }
    let since = old.map { $0.isConfirmed ? now : $0.waitsSince ?? now } ?? now
    rows.sessions[chunk.session]?.chunks[chunk.index] = ChunkRow(
      version: version, state: .sealed, bytes: bytes, waitsSince: since)
    changed(chunk.session)
  }

  private mutating func store(_ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest) {
    guard let row = rows.sessions[chunk.session]?.chunks[chunk.index], row.state == .sealed, row.version == version
    else { return }
    rows.sessions[chunk.session]?.chunks[chunk.index] = ChunkRow(
      version: version, state: .stored, bytes: row.bytes, digest: digest)
    everStored.insert(chunk)
  }

  private mutating func supersede(_ chunk: ChunkID, _ current: ChunkVersion) {
    guard let row = rows.sessions[chunk.session]?.chunks[chunk.index], row.state == .sealed, row.version <= current
    else { return }
    rows.sessions[chunk.session]?.chunks[chunk.index]?.version = current.next
  }

  private mutating func drop(_ session: SessionID, from index: Int, below base: ChunkVersion) {
    guard let row = rows.sessions[session] else { return }
    rows.sessions[session]?.chunks = row.chunks.filter { $0.key < index || $0.value.version >= base }
  }

  private mutating func changed(_ session: SessionID) {
    rows.sessions[session]?.revision += 1
    rows.sessions[session]?.isSynced = false
  }

  // MARK: What the spool commits itself, before bytes change

  private mutating func reopen(_ session: SessionID, _ indexes: [Int]) {
    var row = rows.sessions[session] ?? Self.unnamed
    for index in indexes {
      let old = row.chunks[index]
      // Without a row it was sealed as the base version, and that is still on its way.
      let version = (old?.version ?? row.baseVersion).next
      row.chunks[index] = ChunkRow(
        version: version, state: .open, waitsSince: old?.isConfirmed == true ? nil : old?.waitsSince)
    }
    rows.sessions[session] = row
    doubt(session)
  }

  private mutating func drop(_ session: SessionID, from index: Int) {
    let row = rows.sessions[session] ?? Self.unnamed
    let highest = row.chunks.filter { $0.key >= index }.values.map(\.version).max() ?? .first
    let base = max(row.baseVersion, highest).next
    rows.sessions[session] = row
    rows.sessions[session]?.baseVersion = base
    rows.sessions[session]?.truncations[index] = base
    drop(session, from: index, below: base)
    doubt(session)
  }

  /// The session is neither finished nor synced any more.
  private mutating func doubt(_ session: SessionID) {
    changed(session)
    rows.sessions[session]?.isFinished = false
  }

  /// A session so young that its registration is still on its way.
  private static let unnamed = SessionRow(facts: SessionFacts(path: [], inode: 0))
}

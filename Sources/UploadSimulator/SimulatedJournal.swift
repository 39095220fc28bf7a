import UploadCore
import UploadProtocol

/// The journal as the real one promises to be: the rows, and which of them would survive a power cut.
struct SimulatedJournal {
  enum ChunkState { case open, sealed, stored }

  struct ChunkRow {
    var version: ChunkVersion
    var state: ChunkState
    var digest: ChunkDigest?
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
  }

  struct Rows {
    var sessions: [SessionID: SessionRow] = [:]
    var isPausedByUser = false
  }

  private(set) var rows = Rows()
  private var durable = Rows()
  var isFailing = false
  /// Every chunk and session that was ever recorded as stored or synced: what people may be told.
  private(set) var everStored: Set<ChunkID> = []
  private(set) var everSynced: Set<SessionID> = []

  mutating func sync() { durable = rows }
  mutating func cutPower() { rows = durable }

  // MARK: What the uploader records

  mutating func apply(_ fact: JournalFact) {
    switch fact {
    case .registered(let session, let facts):
      rows.sessions[session, default: SessionRow(facts: facts)].facts = facts
    case .opened(let session): rows.sessions[session]?.isFinished = false
    case .sealed(let chunk, let version, _): seal(chunk, version)
    case .stored(let chunk, let version, let digest): store(chunk, version, digest)
    case .unstored(let chunk):
      guard rows.sessions[chunk.session]?.chunks[chunk.index]?.state == .stored else { return }
      rows.sessions[chunk.session]?.chunks[chunk.index]?.state = .sealed
      changed(chunk.session)
    case .rolledBack(let session, let index):
      for (place, row) in rows.sessions[session]?.chunks ?? [:] where place >= index && row.state == .stored {
        rows.sessions[session]?.chunks[place]?.state = .sealed
      }
      changed(session)
    case .remote: break
    case .superseded(let chunk, let current): supersede(chunk, current)
    case .dropped(let session, let index, let base): drop(session, from: index, below: base)
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
    }
  }

  private mutating func seal(_ chunk: ChunkID, _ version: ChunkVersion) {
    guard let row = rows.sessions[chunk.session] else { return }
    if let old = row.chunks[chunk.index] {
      guard version > old.version || (version == old.version && old.state == .open) else { return }
    }
    rows.sessions[chunk.session]?.chunks[chunk.index] = ChunkRow(version: version, state: .sealed)
    changed(chunk.session)
  }

  private mutating func store(_ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest) {
    guard let row = rows.sessions[chunk.session]?.chunks[chunk.index], row.state == .sealed, row.version == version
    else { return }
    rows.sessions[chunk.session]?.chunks[chunk.index] = ChunkRow(version: version, state: .stored, digest: digest)
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

  // MARK: What the spool commits itself, durably, before bytes change

  /// - Returns: the versions as which the chunks will be sealed; nil when the journal cannot be written.
  mutating func reopen(_ session: SessionID, _ indexes: [Int]) -> [Int: ChunkVersion]? {
    guard !isFailing else { return nil }
    var row = rows.sessions[session] ?? Self.unnamed
    var versions: [Int: ChunkVersion] = [:]
    for index in indexes {
      // Without a row it was sealed as the base version, and that is still on its way.
      let version = (row.chunks[index]?.version ?? row.baseVersion).next
      row.chunks[index] = ChunkRow(version: version, state: .open)
      versions[index] = version
    }
    rows.sessions[session] = row
    doubt(session)
    sync()
    return versions
  }

  /// - Returns: the version at which chunks from `index` on start anew; nil when the journal cannot be written.
  mutating func drop(_ session: SessionID, from index: Int) -> ChunkVersion? {
    guard !isFailing else { return nil }
    let row = rows.sessions[session] ?? Self.unnamed
    let highest = row.chunks.filter { $0.key >= index }.values.map(\.version).max() ?? .first
    let base = max(row.baseVersion, highest).next
    rows.sessions[session] = row
    rows.sessions[session]?.baseVersion = base
    drop(session, from: index, below: base)
    doubt(session)
    sync()
    return base
  }

  /// The session is neither finished nor synced any more.
  mutating func doubt(_ session: SessionID) {
    changed(session)
    rows.sessions[session]?.isFinished = false
  }

  /// A session so young that its registration is still on its way.
  private static let unnamed = SessionRow(facts: SessionFacts(path: [], inode: 0))
}

import Glibc
import Logging

/// Everything that changes stored data. Its methods run on the vault's thread only and may block.
///
/// Split by subject: ChunkStoring, Folding, Completing, Publishing, Preparing, Recovery.
final class VaultWriter: @unchecked Sendable {
  // @unchecked: the vault hands it to its serial queue and touches it nowhere else.

  /// Sessions whose row and descriptors are kept at hand (at most 4 descriptors each).
  static let sessionsLoadedMax = 128

  let folder: DataFolder
  let catalog: Catalog
  let sessionsMax: Int
  let logger: Logger
  let copier = RecordingCopier()
  /// Puts a message for this writer into the vault's queue.
  var resume: (@Sendable (VaultJob) -> Void)?

  /// Sessions of which a copy is being made; outlives the state in `sessions`.
  var preparing: Set<SessionName> = []
  private(set) var sessions: [SessionName: SessionState] = [:]

  init(folder: DataFolder, catalog: Catalog, sessionsMax: Int, logger: Logger) {
    self.folder = folder
    self.catalog = catalog
    self.sessionsMax = sessionsMax
    self.logger = logger
  }

  var hasWork: Bool { sessions.values.contains { $0.mustFold } }

  func run(_ jobs: [VaultJob]) {
    var uploads: [PendingUpload] = []
    var wholes: [PendingWholes] = []
    var completions: [(Completion, Answer<CompletedRecording>)] = []
    for job in jobs {
      switch job {
      case .chunk(let upload, let answer): uploads.append(PendingUpload(upload: upload, answer: answer))
      case .announce(let announcement, let answer):
        answer(outcome { () throws(ReceiverError) in try announce(announcement).record })
      case .complete(let completion, let answer): completions.append((completion, answer))
      case .wholes(let uploads, let answer): wholes.append(PendingWholes(uploads: uploads, answer: answer))
      case .task(let body): body(self)
      case .prepared(let name, let failure): finishPreparing(name, failure)
      }
    }
    storeTogether(uploads)
    storeTogether(wholes)
    for (completion, answer) in completions { complete(completion, answer) }
    retryWaitingCompletions()
    forgetIdleSessions()
  }

  func stop() {
    copier.stop()
    for state in sessions.values { answerWaiting(state, .stopping) }
    sessions = [:]
  }

  /// The session, from memory or the catalog; created when nobody knew it.
  func session(_ name: SessionName) throws(ReceiverError) -> SessionState {
    if let state = sessions[name] { return state }
    let now = Self.now
    let limit = sessionsMax
    let record = try cataloged { catalog throws(CatalogError) in
      let known = try catalog.read { db in
        (try SessionRecord.fetch(db, id: name), try SessionRecord.count(db))
      }
      if let record = known.0 { return record }
      guard known.1 < limit else { throw CatalogError("the limit of \(limit) sessions is reached", .noSpace) }
      return try catalog.write { db in try SessionRecord.insert(db, id: name, now: now) }
    }
    let state = SessionState(record: record, root: folder.root)
    sessions[name] = state
    return state
  }

  /// Keeps a session in memory whose row was written otherwise.
  func take(_ state: SessionState) { sessions[state.record.id] = state }

  /// Forgets what is in memory of a session, so that it is read again: its commit failed.
  func forget(_ state: SessionState, because error: ReceiverError) {
    answerWaiting(state, error)
    sessions[state.record.id] = nil
  }

  func commit(_ state: SessionState) throws(ReceiverError) {
    state.record.changed = Self.now
    let record = state.record
    do throws(ReceiverError) {
      try cataloged { catalog throws(CatalogError) in try catalog.write { db in try record.update(db) } }
    } catch {
      forget(state, because: error)
      throw error
    }
  }

  func answerWaiting(_ state: SessionState, _ error: ReceiverError) {
    let waiting = state.waiting
    state.waiting = []
    for entry in waiting { entry.answer(.failure(error)) }
  }

  func cataloged<Value>(_ body: (Catalog) throws(CatalogError) -> Value) throws(ReceiverError) -> Value {
    do throws(CatalogError) { return try body(catalog) } catch { throw ReceiverError(error) }
  }

  func stored<Value>(_ body: () throws(IOFailure) -> Value) throws(ReceiverError) -> Value {
    do throws(IOFailure) { return try body() } catch { throw ReceiverError(error) }
  }

  func outcome<Value>(_ body: () throws(ReceiverError) -> Value) -> Result<Value, ReceiverError> {
    do throws(ReceiverError) { return .success(try body()) } catch { return .failure(error) }
  }

  /// Milliseconds since 1970.
  static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  private func forgetIdleSessions() {
    guard sessions.count > Self.sessionsLoadedMax else { return }
    sessions = sessions.filter { !$0.value.isIdle }
  }
}

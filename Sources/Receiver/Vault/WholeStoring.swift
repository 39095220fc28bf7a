import GRDB
import Logging
import NIOCore
import UploadProtocol

struct PendingWholes {
  let uploads: [WholeUpload]
  let answer: Answer<[Result<CompletedRecording, ReceiverError>]>
}

/// Small recordings that come whole: announced, stored, completed and published many at once. Each goes through the states
/// of any other recording, so whatever an interrupted run leaves of it is mended as usual; but all of them share two syncs of
/// the file system and three transactions.
extension VaultWriter {
  /// Requests stored together, at most: their sessions are in memory at once.
  private static let requestsMax = 4

  func storeTogether(_ pending: [PendingWholes]) {
    for start in stride(from: 0, to: pending.count, by: Self.requestsMax) {
      let round = pending[start..<min(start + Self.requestsMax, pending.count)]
      switch outcome({ () throws(ReceiverError) in try store(round.flatMap(\.uploads)) }) {
      case .success(let outcomes):
        var first = 0
        for entry in round {
          entry.answer(.success(Array(outcomes[first..<first + entry.uploads.count])))
          first += entry.uploads.count
        }
      case .failure(let error): for entry in round { entry.answer(.failure(error)) }
      }
    }
  }

  private struct Fresh {
    /// Among the outcomes.
    let place: Int
    let upload: WholeUpload
    let state: SessionState
    let chain: [UInt8]
  }

  /// - Returns: one outcome for each; success: durable and whole.
  /// - Throws: what keeps all of them from being stored; none of the new ones is whole then.
  private func store(_ uploads: [WholeUpload]) throws(ReceiverError) -> [Result<CompletedRecording, ReceiverError>] {
    let announced = try announce(uploads)
    var outcomes = announced.outcomes
    let completed = Self.now
    try write(announced.fresh, completed)
    try complete(announced.fresh, completed)
    for (recording, failure) in publish(announced.fresh) {
      outcomes[recording.place] =
        failure.map { .failure($0) } ?? .success(recording.upload.completed(recording.chain))
    }
    return outcomes
  }

  /// Rows come first, so that everything on the disk belongs to a session that the catalog knows.
  /// - Returns: those that can be stored, and the outcomes of the others.
  private func announce(
    _ uploads: [WholeUpload]
  ) throws(ReceiverError) -> (fresh: [Fresh], outcomes: [Result<CompletedRecording, ReceiverError>]) {
    var outcomes = [Result<CompletedRecording, ReceiverError>](repeating: .failure(.knownSession), count: uploads.count)
    var names: Set<SessionName> = []
    let candidates = uploads.enumerated().filter { names.insert($0.element.session).inserted }
    let now = Self.now
    let limit = sessionsMax
    let rows = try cataloged { catalog throws(CatalogError) in
      try catalog.write { db in
        let rows = try candidates.map { place, upload in (place: place, row: try CatalogedUpload(db, upload)) }
        guard try SessionRecord.count(db) + rows.count(where: { $0.row == .unknown }) <= limit else {
          throw CatalogError("the limit of \(limit) sessions is reached", .noSpace)
        }
        return try rows.map { place, row in (place: place, row: try row.announced(db, uploads[place], now: now)) }
      }
    }
    var fresh: [Fresh] = []
    for (place, row) in rows {
      let upload = uploads[place]
      switch row {
      case .empty(let record):
        let state = SessionState(record: record, root: folder.root)
        take(state)
        fresh.append(Fresh(place: place, upload: upload, state: state, chain: DigestChain.link(upload.digest)))
      case .same: outcomes[place] = .success(upload.completed(DigestChain.link(upload.digest)))
      case .otherWriter: outcomes[place] = .failure(.otherWriter)
      case .unknown, .other: break
      }
    }
    return (fresh, outcomes)
  }

  private func write(_ fresh: [Fresh], _ completed: Int64) throws(ReceiverError) {
    guard !fresh.isEmpty else { return }
    do throws(IOFailure) {
      for recording in fresh {
        let upload = recording.upload
        let manifest = RecordingManifestFile(
          session: upload.session, path: upload.path, size: Int64(upload.bytes.readableBytes), digests: upload.digest,
          chain: recording.chain, metadata: upload.metadata, completedMilliseconds: completed)
        let temp = try recording.state.newTemp()
        try temp.file(DataFolder.recordingName, .replace).write(upload.bytes, at: 0)
        try temp.file(DataFolder.newManifestName, .replace).write(manifest.bytes, at: 0)
        recording.state.closeFiles()
      }
      try folder.root.synchronizeFileSystem()
    } catch {
      logger.error("storing failed", metadata: ["reason": "\(error)"])
      for recording in fresh {
        // Gives the space back on a full disk; the session is announced, and nothing of it is stored.
        if let directory = try? recording.state.folder() { try? directory.removeTree(DataFolder.tempName) }
        recording.state.closeFiles()
        forget(recording.state, because: ReceiverError(error))
      }
      throw ReceiverError(error)
    }
  }

  private func complete(_ fresh: [Fresh], _ completed: Int64) throws(ReceiverError) {
    guard !fresh.isEmpty else { return }
    for recording in fresh {
      let state = recording.state
      state.record.isComplete = true
      state.record.size = Int64(recording.upload.bytes.readableBytes)
      state.record.chain = recording.chain
      state.record.folded = 1
      state.record.completed = completed
      state.record.changed = completed
      state.record.mustPublish = true
    }
    let rows = fresh.map { recording in
      (
        record: recording.state.record,
        chunk: ChunkRecord(
          index: 0, version: recording.upload.version, byteCount: recording.upload.bytes.readableBytes,
          digest: recording.upload.digest, place: .recording)
      )
    }
    do throws(ReceiverError) {
      try cataloged { catalog throws(CatalogError) in
        try catalog.write { db in
          for row in rows {
            try row.record.update(db)
            try row.chunk.save(db, session: row.record.number)
          }
        }
      }
    } catch {
      for recording in fresh { forget(recording.state, because: error) }
      throw error
    }
  }

  /// - Returns: each recording, and why it has not got its names; it is whole all the same, and gets them at the next start or
  ///   announcement.
  private func publish(_ fresh: [Fresh]) -> [(Fresh, ReceiverError?)] {
    guard !fresh.isEmpty else { return [] }
    var named: [(recording: Fresh, link: [UInt8]?)] = []
    var failed: [(Fresh, ReceiverError?)] = []
    for recording in fresh {
      do throws(IOFailure) {
        let link = try giveNames(recording.state, recording.upload.path, .together)
        // Before the sync that all share, so that a power cut does not bring it back.
        try recording.state.folder().removeTree(DataFolder.tempName)
        named.append((recording, link))
      } catch {
        logger.error("publishing failed", metadata: ["session": "\(recording.upload.session)", "reason": "\(error)"])
        failed.append((recording, ReceiverError(error)))
      }
      recording.state.closeFiles()
    }
    do throws(ReceiverError) {
      try stored { () throws(IOFailure) in try folder.root.synchronizeFileSystem() }
      try published(named.map { ($0.recording.state, $0.recording.upload.path, $0.link) })
    } catch {
      return fresh.map { ($0, error) }
    }
    return named.map { ($0.recording, nil) } + failed
  }
}

/// What the catalog knows of the session of a recording that comes whole.
private enum CatalogedUpload: Equatable {
  case unknown
  /// Announced, and nothing of it is stored: a request that was interrupted, or the client's announcement.
  case empty(SessionRecord)
  /// It is here as it is sent, and whole: the answer was lost.
  case same
  case otherWriter
  /// Something of it is here, and nothing tells here what is newer.
  case other

  init(_ db: Database, _ upload: WholeUpload) throws {
    guard let record = try SessionRecord.fetch(db, id: upload.session) else {
      self = .unknown
      return
    }
    let chunks = try ChunkRecord.fetchPage(db, session: record.number, from: 0, limit: 2)
    if record.writer != nil, record.writer != upload.writer {
      self = .otherWriter
    } else if record.whole == nil, !record.isComplete, chunks.isEmpty {
      self = .empty(record)
    } else if record.isComplete, !record.mustPublish, record.path == upload.path, record.metadata == upload.metadata,
      record.writer == upload.writer, chunks.count == 1, chunks[0].index == 0, chunks[0].version == upload.version,
      chunks[0].digest == upload.digest, record.size == Int64(upload.bytes.readableBytes)
    {
      self = .same
    } else {
      self = .other
    }
  }

  /// The same once the catalog knows of a recording what its client says.
  func announced(_ db: Database, _ upload: WholeUpload, now: Int64) throws -> CatalogedUpload {
    var record: SessionRecord
    switch self {
    case .unknown: record = try SessionRecord.insert(db, id: upload.session, now: now)
    case .empty(let known): record = known
    case .same, .otherWriter, .other: return self
    }
    record.path = upload.path
    record.metadata = upload.metadata
    record.writer = upload.writer
    try record.update(db)
    return .empty(record)
  }
}

extension WholeUpload {
  fileprivate func completed(_ chain: [UInt8]) -> CompletedRecording {
    CompletedRecording(size: Int64(bytes.readableBytes), chain: chain, path: path)
  }
}

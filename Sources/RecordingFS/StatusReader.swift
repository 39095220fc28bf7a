internal import Foundation
public import Spool
public import SyncStatus
internal import UploadCore
public import UploadProtocol

/// Draws the status of recordings from the journal, the open recordings and the uploader's board. On any thread.
///
/// What counts as stored is what the journal says, so no view can claim more (invariant I3).
public struct StatusReader: Sendable {
  private let spool: Spool
  private let board: StatusBoard
  private let destination: String

  public init(spool: Spool, board: StatusBoard, destination: String) {
    self.spool = spool
    self.board = board
    self.destination = destination
  }

  /// The status of a recording, or the sum of a folder; nil for anything else (symbolic links, devices).
  public func status(of inode: UInt64) -> RecordingStatus? {
    guard
      let (backing, path) = try? spool.tree.reading({ () throws(SpoolError) in
        let (folder, place) = try spool.tree.locate(inode)
        let path = spool.tree.isOrphan(inode) ? [] : try spool.tree.pathBelowRoot(inode)
        return (try Backing.status(place, in: folder), path)
      })
    else { return nil }
    if backing.isFolder { return sum(below: path).status }
    guard backing.isRegular else { return nil }
    let session = spool.session(of: inode)
    let row = session.flatMap { try? spool.journal.session($0) }
    return status(session, row, size: backing.size, path: path, summary: board.summary, wantsLag: true)
  }

  /// The sum of every recording below `path`.
  public func sum(below path: [UInt8]) -> DirectoryStatus {
    let summary = board.summary
    var sum = DirectoryStatus(path: path, destination: destination)
    each(below: path, summary) { sum.add($0) }
    return sum
  }

  /// The mount as a whole.
  public func overall() -> OverallStatus { overall(board.summary, sum(below: [])) }

  /// The mount and every recording of it, as JSON.
  public func sessionsPage() -> [UInt8] {
    let summary = board.summary
    var recordings: [RecordingStatus] = []
    each(below: [], summary) { recordings.append($0) }
    var sum = DirectoryStatus(path: [], destination: destination)
    for recording in recordings { sum.add(recording) }
    return SessionsPage.bytes(overall(summary, sum), recordings)
  }

  public func metricsPage() -> String { MetricsPage.text(overall(), board.counters) }

  /// Where the chunks of a recording are; nil when there is no such session.
  func chunkMap(of session: SessionID) -> [UInt8]? {
    guard spool.knownRecording(session) != nil || ((try? spool.journal.session(session)) ?? nil) != nil else { return nil }
    let sending = Set(board.summary.sending.lazy.filter { $0.session == session }.map(\.index))
    var map = ChunkMap(chunksTotal: chunkCount(of: session))
    // A journal that cannot be read leaves all open: never more than is safe.
    try? spool.journal.eachChunk(of: session) { index, place in
      switch place {
      case .open: map.add(index, .open)
      case .sealed: map.add(index, sending.contains(index) ? .sending : .sealed)
      case .stored: map.add(index, .stored)
      case .evicted: map.add(index, .evicted)
      }
    }
    return map.json(session: session.description, time: Date().timeIntervalSince1970)
  }

  /// What people call a session: its path, or its id while it has none.
  public func name(of session: SessionID) -> String {
    guard let row = (try? spool.journal.session(session)) ?? nil, !row.path.isEmpty else { return session.description }
    return String(decoding: row.path, as: UTF8.self)
  }

  /// Chunks that a recording has now.
  func chunkCount(of session: SessionID) -> Int { ChunkLayout.chunkCount(size: size(of: session)) }

  /// Bytes of a chunk as the recording is now.
  func byteCount(of chunk: ChunkID) -> Int { ChunkLayout.byteCount(of: chunk.index, size: size(of: chunk.session)) }

  private func size(of session: SessionID) -> Int64 {
    if let recording = spool.knownRecording(session), let backing = try? Backing.status(recording.descriptor) {
      return backing.size
    }
    return ((try? spool.journal.session(session)) ?? nil)?.size ?? 0
  }

  // MARK: Details

  private func overall(_ summary: UploadSummary, _ sum: DirectoryStatus) -> OverallStatus {
    let connection: DestinationState =
      switch summary.connection {
      case .online: .online
      case .offline(let reason): .offline(reason)
      case .blocked(_, let reason): .blocked(reason)
      }
    var overall = OverallStatus(
      time: Date().timeIntervalSince1970, total: sum.status, counts: sum.counts, connection: connection)
    overall.isPaused = summary.isPausedByUser
    overall.bytesPerSecondMax = summary.bytesPerSecondMax
    overall.inFlight = summary.inFlight
    overall.journalError = summary.journalError
    return overall
  }

  private func each(below path: [UInt8], _ summary: UploadSummary, _ body: (RecordingStatus) -> Void) {
    // A journal that cannot be read shows nothing rather than something wrong; `journal_error` says why.
    try? spool.journal.eachSession(below: path) { row in
      let recording = spool.knownRecording(row.session)
      var size = row.size
      if let recording, let backing = try? Backing.status(recording.descriptor) {
        size = backing.size
      } else if !row.isFinished, let backing = try? Backing.status(row.path, in: spool.tree.root) {
        size = backing.size
      }
      body(status(row.session, row, size: size, path: row.path, summary: summary, wantsLag: !row.isSynced))
    }
  }

  private func status(
    _ session: SessionID?, _ row: SessionRow?, size: Int64, path: [UInt8], summary: UploadSummary, wantsLag: Bool
  ) -> RecordingStatus {
    let recording = session.flatMap { spool.knownRecording($0) }
    let unsealedSince = recording?.oldestUnsealed
    let isSynced =
      row.map { $0.isSynced && $0.isAnnounced && unsealedSince == nil && $0.size == size } ?? false
    var status = RecordingStatus(state: .uploading, path: path, destination: destination)
    status.session = session
    status.recordings = 1
    status.isRecording = recording?.hasWriters ?? false
    status.bytesWritten = size
    status.bytesSynced = min(size, row?.storedBytes ?? 0)
    status.syncedThrough = min(size, Int64(row?.storedThrough ?? 0) * Int64(ChunkLayout.chunkBytes))
    status.chunksTotal = ChunkLayout.chunkCount(size: size)
    status.chunksSynced = min(status.chunksTotal, row?.storedChunks ?? 0)
    status.lastSyncedAt = row?.syncedAt
    status.isHeld = row?.isHeld ?? false
    status.priority = (row?.priority ?? .normal).name
    status.sha256 = isSynced ? row?.sha256.flatMap { ChunkDigest(bytes: $0) }?.description : nil
    (status.state, status.error) = state(isSynced, row, summary)
    if wantsLag, !isSynced { status.lagSeconds = lag(row, unsealedSince) }
    return status
  }

  private func state(_ isSynced: Bool, _ row: SessionRow?, _ summary: UploadSummary) -> (SyncState, String?) {
    if let failure = row?.failure { return (.failed, failure) }
    if isSynced { return (.synced, nil) }
    if row?.isHeld == true { return (.paused, "held back") }
    if summary.isPausedByUser { return (.paused, "paused by a person") }
    if let error = summary.journalError { return (.paused, "the journal cannot be written: \(error)") }
    switch summary.connection {
    case .offline(let reason), .blocked(_, let reason): return (.paused, reason)
    case .online: return (.uploading, row.flatMap { summary.troubled[$0.session] })
    }
  }

  private func lag(_ row: SessionRow?, _ unsealedSince: Instant?) -> Double {
    var lag = 0.0
    if let unsealedSince { lag = Double((spool.clock.now - unsealedSince).nanoseconds) / 1e9 }
    if let row, let oldest = (try? spool.journal.oldestPending(of: row.session)) ?? nil {
      lag = max(lag, Date().timeIntervalSince1970 - oldest)
    }
    return max(0, lag)
  }
}

extension UploadPriority {
  var name: String {
    switch self {
    case .low: "low"
    case .normal: "normal"
    case .high: "high"
    }
  }
}

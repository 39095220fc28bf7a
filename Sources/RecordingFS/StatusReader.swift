internal import Foundation
public import Spool
public import SyncStatus
internal import UploadCore
public import UploadProtocol

/// Draws the status of recordings from the journal, the open recordings and the uploader's board. On any thread.
///
/// What counts as stored is what the journal says, so no view can claim more (invariant I3).
public struct StatusReader: Sendable {
  let spool: Spool
  let destinations: [ReportedDestination]
  let copies: [JournalCopy]

  /// Of the first destination; it also has what is the mount's own.
  var board: StatusBoard { destinations[0].board }
  /// Time that write() takes; the file system adds to it.
  var writes: DurationHistogram { board.writes }

  /// - Parameter destinations: not empty, the first one first.
  public init(spool: Spool, destinations: [ReportedDestination]) {
    precondition(!destinations.isEmpty, "a mount has a destination")
    self.spool = spool
    self.destinations = destinations
    copies = destinations.compactMap(\.copy)
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
    let rows = session.flatMap { try? spool.journal.session($0, copies: copies) }
    return status(session, rows.map { [$0] + $1 } ?? [], size: backing.size, path: path, summaries, wantsLag: true)
  }

  public func metricsPage() -> String {
    var counters = destinations.map(\.board.counters).reduce(MetricsPage.Counters(), +)
    counters.chunksEvicted = spool.chunksEvicted
    var machine = MetricsPage.Machine()
    machine.spoolBytes = spool.usage.bytes
    machine.spoolBytesMax = spool.bytesMax
    machine.diskBytesFree = (try? spool.space()).map { Int64(clamping: $0.blocksAvailable * $0.blockSize) } ?? 0
    machine.workers = board.workers
    var histograms = MetricsPage.Histograms()
    histograms.writes = MetricsPage.Histogram(board.writes)
    histograms.lags = MetricsPage.Histogram(spool.journal.lags)
    histograms.requests = destinations.dropFirst().reduce(MetricsPage.Histogram(board.requests)) {
      $0 + MetricsPage.Histogram($1.board.requests)
    }
    return MetricsPage.text(overall(), counters, machine, histograms)
  }

  /// Where the chunks of a recording are; nil when there is no such session.
  func chunkMap(of session: SessionID) -> [UInt8]? {
    guard spool.knownRecording(session) != nil || ((try? spool.journal.session(session)) ?? nil) != nil else { return nil }
    let sending = Set(summaries.flatMap(\.sending).filter { $0.session == session }.map(\.index))
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

  /// Whether a destination has refused it.
  public func isRefused(_ session: SessionID) -> Bool {
    var isRefused = false
    if let row = (try? spool.journal.session(session)) ?? nil, row.failure != nil { isRefused = true }
    for copy in copies where ((try? copy.session(session)) ?? nil)?.failure != nil { isRefused = true }
    return isRefused
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

  /// Of each destination, as of its last turn.
  var summaries: [UploadSummary] { destinations.map(\.board.summary) }

  func status(_ row: SessionRow, _ others: [SessionRow], _ summaries: [UploadSummary]) -> RecordingStatus {
    let rows = [row] + others
    let recording = spool.knownRecording(row.session)
    var size = row.size
    if let recording, let backing = try? Backing.status(recording.descriptor) {
      size = backing.size
    } else if !row.isFinished, let backing = try? Backing.status(row.path, in: spool.tree.root) {
      size = backing.size
    }
    let isSynced = rows.allSatisfy(\.isSynced)
    return status(row.session, rows, size: size, path: row.path, summaries, wantsLag: !isSynced)
  }

  /// - Parameter rows: one for each destination; none when the journal does not know the session.
  private func status(
    _ session: SessionID?, _ rows: [SessionRow], size: Int64, path: [UInt8], _ summaries: [UploadSummary], wantsLag: Bool
  ) -> RecordingStatus {
    let recording = session.flatMap { spool.knownRecording($0) }
    let unsealedSince = recording?.oldestUnsealed
    let first = rows.first
    var status = RecordingStatus(state: .uploading, path: path, destination: destinations[0].name)
    status.session = session
    status.recordings = 1
    status.isRecording = recording?.hasWriters ?? false
    status.bytesWritten = size
    status.chunksTotal = ChunkLayout.chunkCount(size: size)
    status.isHeld = first?.isHeld ?? false
    status.priority = (first?.priority ?? .normal).name
    status.combine(
      destinations.indices.map { place in
        let row = place < rows.count ? rows[place] : nil
        return share(destinations[place].name, row, size: size, summaries[place], isSealed: unsealedSince == nil)
      })
    let isSynced = status.state == .synced
    status.sha256 = isSynced ? first?.sha256.flatMap { ChunkDigest(bytes: $0) }?.description : nil
    if wantsLag, !isSynced { status.lagSeconds = lag(rows, unsealedSince) }
    if let since = recording?.quietSince { status.stalledSeconds = board.stalled(spool.clock.now - since) }
    return status
  }

  /// What one destination has of a recording.
  private func share(
    _ name: String, _ row: SessionRow?, size: Int64, _ summary: UploadSummary, isSealed: Bool
  ) -> DestinationShare {
    let isSynced = row.map { $0.isSynced && $0.isAnnounced && isSealed && $0.size == size } ?? false
    let (state, error) = state(isSynced, row, summary)
    var share = DestinationShare(name: name, state: state)
    share.error = error
    share.bytesWritten = size
    share.bytesSynced = min(size, row?.storedBytes ?? 0)
    share.syncedThrough = min(size, Int64(row?.storedThrough ?? 0) * Int64(ChunkLayout.chunkBytes))
    share.chunksSynced = min(ChunkLayout.chunkCount(size: size), row?.storedChunks ?? 0)
    share.lastSyncedAt = row?.syncedAt
    return share
  }

  private func state(_ isSynced: Bool, _ row: SessionRow?, _ summary: UploadSummary) -> (SyncState, String?) {
    if let failure = row?.failure { return (.failed, failure) }
    if isSynced { return (.synced, nil) }
    if row?.isHeld == true { return (.paused, "held back") }
    if summary.isPausedByUser { return (.paused, "paused by a person") }
    if summary.isOnMeter { return (.paused, "the connection is metered") }
    if let error = summary.journalError { return (.paused, "the journal cannot be written: \(error)") }
    switch summary.connection {
    case .offline(let reason), .blocked(_, let reason): return (.paused, reason)
    case .online: return (.uploading, row.flatMap { summary.troubled[$0.session] })
    }
  }

  private func lag(_ rows: [SessionRow], _ unsealedSince: Instant?) -> Double {
    var lag = 0.0
    if let unsealedSince { lag = Double((spool.clock.now - unsealedSince).nanoseconds) / 1e9 }
    if let row = rows.first {
      var oldest = [try? spool.journal.oldestPending(of: row.session)]
      for row in rows.dropFirst() where !row.isSynced {
        oldest.append(try? spool.journal.oldestPending(of: row.session, from: row.storedThrough))
      }
      let now = Date().timeIntervalSince1970
      for case let moment?? in oldest { lag = max(lag, now - moment) }
    }
    return max(0, lag)
  }
}

/// One of the mount's destinations, as status is drawn of it.
public struct ReportedDestination: Sendable {
  let name: String
  let board: StatusBoard
  /// nil for the first one.
  let copy: JournalCopy?

  public init(name: String, board: StatusBoard, copy: JournalCopy?) {
    (self.name, self.board, self.copy) = (name, board, copy)
  }
}

extension DestinationState {
  init(_ connection: ConnectionState) {
    self =
      switch connection {
      case .online: .online
      case .offline(let reason): .offline(reason)
      case .blocked(_, let reason): .blocked(reason)
      }
  }
}

extension MetricsPage.Histogram {
  init(_ histogram: DurationHistogram) {
    let (counts, sum) = histogram.snapshot
    self.init(
      bounds: histogram.bounds.map { Double($0.nanoseconds) / 1e9 }, counts: counts,
      sumSeconds: Double(sum.nanoseconds) / 1e9)
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

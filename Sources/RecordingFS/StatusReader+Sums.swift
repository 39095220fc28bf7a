internal import Foundation
internal import Spool
public import SyncStatus
internal import UploadCore
internal import UploadProtocol

// What many recordings come to: folders, and the mount as a whole.
extension StatusReader {
  /// The sum of every recording below `path`.
  public func sum(below path: [UInt8]) -> DirectoryStatus {
    var sum = DirectoryStatus(path: path, destination: destinations[0].name)
    let summaries = summaries
    if !copies.isEmpty {
      each(below: path, summaries) { sum.add($0) }
      return sum
    }
    let loaded = spool.loadedSessions
    var unseen = Set(loaded)
    // As in `each`, a journal that cannot be read shows nothing.
    let settled = try? spool.journal.eachUnsettled(below: path, loaded: loaded) { row in
      unseen.remove(row.session)
      sum.add(status(row, [], summaries))
    }
    if let settled { sum.add(self.settled(settled)) }
    each(of: unseen, below: path) { sum.add($0) }
    return sum
  }

  /// The mount as a whole.
  public func overall() -> OverallStatus { overall(summaries, sum(below: [])) }

  /// The mount and every recording of it, as JSON.
  public func sessionsPage() -> [UInt8] {
    let summaries = summaries
    var recordings: [RecordingStatus] = []
    each(below: [], summaries) { recordings.append($0) }
    var sum = DirectoryStatus(path: [], destination: destinations[0].name)
    for recording in recordings { sum.add(recording) }
    return SessionsPage.bytes(overall(summaries, sum), recordings)
  }

  // MARK: Details

  func overall(_ summaries: [UploadSummary], _ sum: DirectoryStatus) -> OverallStatus {
    let connections = zip(destinations, summaries).map { destination, summary in
      DestinationConnection(name: destination.name, connection: DestinationState(summary.connection))
    }
    var overall = OverallStatus(
      time: Date().timeIntervalSince1970, total: sum.status, counts: sum.counts, connection: .worst(connections))
    if connections.count > 1 { overall.destinations = connections }
    overall.isPaused = summaries[0].isPausedByUser
    let limits = summaries.compactMap(\.bytesPerSecondMax)
    overall.bytesPerSecondMax = limits.isEmpty ? nil : limits.reduce(0, +)
    overall.inFlight = summaries.reduce(0) { $0 + $1.inFlight }
    overall.window = summaries.reduce(0) { $0 + $1.window }
    overall.stallTimeout = summaries.map { Double($0.stallTimeout.nanoseconds) / 1e9 }.max()
    overall.spacing = summaries.map { Double($0.spacing?.nanoseconds ?? 0) / 1e9 }.max()
    overall.journalError = summaries.compactMap(\.journalError).first
    overall.limitUntil = board.limitUntil
    overall.isOnMeter = summaries[0].isOnMeter
    overall.syncEvery = summaries[0].syncEvery.map { Double($0.nanoseconds) / 1e9 }
    // Between rounds only when all are: whoever waits has nothing to ask for otherwise.
    let now = spool.clock.now
    let rounds = summaries.compactMap { $0.nextRound(after: now) }
    if rounds.count == summaries.count, let next = rounds.min() {
      overall.nextRoundAt = overall.time + Double((next - now).nanoseconds) / 1e9
    }
    return overall
  }

  private func each(below path: [UInt8], _ summaries: [UploadSummary], _ body: (RecordingStatus) -> Void) {
    var unseen = Set(spool.loadedSessions)
    // A journal that cannot be read shows nothing rather than something wrong; `journal_error` says why.
    try? spool.journal.eachSession(below: path, copies: copies) { row, others in
      unseen.remove(row.session)
      body(status(row, others, summaries))
    }
    each(of: unseen, below: path, body)
  }

  /// Recordings that the journal did not show below `path`, although they lie there: made, or moved there, so recently that
  /// the uploader has not told it.
  /// - Parameter unseen: of those that were loaded before the journal was asked.
  private func each(of unseen: Set<SessionID>, below path: [UInt8], _ body: (RecordingStatus) -> Void) {
    for session in unseen {
      guard let inode = spool.inode(of: session, below: path), let status = status(of: inode) else { continue }
      body(status)
    }
  }

  /// What `status` would have given of each, added up.
  private func settled(_ sum: SettledSum) -> RecordingStatus {
    var status = RecordingStatus(state: .synced, path: [], destination: destinations[0].name)
    status.recordings = sum.recordings
    status.bytesWritten = sum.bytes
    status.bytesSynced = sum.bytes
    status.chunksTotal = sum.chunks
    status.chunksSynced = sum.chunks
    status.lastSyncedAt = sum.lastSyncedAt
    status.isHeld = sum.isHeld
    return status
  }
}

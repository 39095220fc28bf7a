import Foundation
package import SyncStatus
import UploadProtocol

/// `.status/sessions.json`, read back into the values it was drawn from.
package struct StatusSnapshot: Sendable {
  package var overall: OverallStatus
  package var recordings: [RecordingStatus]

  package init(overall: OverallStatus, recordings: [RecordingStatus]) {
    self.overall = overall
    self.recordings = recordings
  }

  package init(json: [UInt8]) throws(CommandFailure) {
    let document: SessionsDocument
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      document = try decoder.decode(SessionsDocument.self, from: Data(json))
    } catch {
      throw CommandFailure("the mount's status cannot be read (is it another version of reelfs?): \(error)")
    }
    guard document.schemaVersion == StatusAttributes.schemaVersion else {
      throw CommandFailure("the mount speaks status version \(document.schemaVersion), this program only 1: update it")
    }
    let total = try document.total.value()
    var counts = StateCounts()
    for state in SyncState.allCases { counts[state] = document.states[state.rawValue] ?? 0 }
    overall = OverallStatus(
      time: Timestamp.seconds(of: document.time) ?? 0, total: total, counts: counts,
      connection: DestinationState(name: document.connection, reason: document.connectionReason) ?? .online)
    overall.isPaused = document.paused
    overall.bytesPerSecondMax = document.limitBytesPerSecond
    overall.limitUntil = document.limitUntil
    overall.isOnMeter = document.metered ?? false
    overall.syncEvery = document.syncEverySeconds
    overall.nextRoundAt = document.nextRoundAt.flatMap(Timestamp.seconds(of:))
    overall.inFlight = document.transfersInFlight
    overall.journalError = document.journalError
    overall.destinations = (document.connections ?? []).map { one in
      DestinationConnection(
        name: one.destination, connection: DestinationState(name: one.connection, reason: one.connectionReason) ?? .online)
    }
    recordings = try document.sessions.map { recording throws(CommandFailure) in try recording.value() }
  }

  /// Only what `target` means, with the sums of that. A path that no recording has or lies below gives an empty sum.
  package func narrowed(to target: ControlTarget) -> StatusSnapshot {
    let kept: [RecordingStatus]
    var path: [UInt8] = []
    switch target {
    case .all: return self
    case .session(let session): kept = recordings.filter { $0.session == session }
    case .path(let wanted):
      path = wanted
      let folder = wanted + [UInt8(ascii: "/")]
      kept = recordings.filter { $0.path == wanted || $0.path.starts(with: folder) }
    }
    var sum = DirectoryStatus(path: path, destination: overall.total.destination)
    for recording in kept { sum.add(recording) }
    var narrowed = StatusSnapshot(overall: overall, recordings: kept)
    narrowed.overall.total = sum.status
    narrowed.overall.counts = sum.counts
    return narrowed
  }
}

private struct SessionsDocument: Decodable {
  let schemaVersion: Int
  let time: String
  let connection: String
  let connectionReason: String?
  let paused: Bool
  let limitBytesPerSecond: Int?
  let limitUntil: String?
  let metered: Bool?
  let syncEverySeconds: Double?
  let nextRoundAt: String?
  let transfersInFlight: Int
  let journalError: String?
  let connections: [ConnectionDocument]?
  let states: [String: Int]
  let total: RecordingDocument
  let sessions: [RecordingDocument]
}

private struct ConnectionDocument: Decodable {
  let destination: String
  let connection: String
  let connectionReason: String?
}

private struct ShareDocument: Decodable {
  let destination: String
  let status: String
  let bytesSynced: Int64
  let syncedThrough: Int64
  let chunksSynced: Int
  let lastSyncedAt: String?
  let error: String?

  func value(of bytesWritten: Int64) throws(CommandFailure) -> DestinationShare {
    guard let state = SyncState(rawValue: status) else {
      throw CommandFailure("the mount reports a status \"\(status)\" that this program does not know: update it")
    }
    var value = DestinationShare(name: destination, state: state)
    value.bytesWritten = bytesWritten
    value.bytesSynced = bytesSynced
    value.syncedThrough = syncedThrough
    value.chunksSynced = chunksSynced
    value.lastSyncedAt = lastSyncedAt.flatMap(Timestamp.seconds(of:))
    value.error = error
    return value
  }
}

private struct RecordingDocument: Decodable {
  let path: String
  let pathBase64: String?
  let status: String
  let session: String?
  let recordings: Int
  let recording: Bool
  let bytesWritten: Int64
  let bytesSynced: Int64
  let syncedThrough: Int64?
  let chunksTotal: Int
  let chunksSynced: Int
  let lagSeconds: Double
  let lastSyncedAt: String?
  let error: String?
  let destination: String
  let destinations: [ShareDocument]?
  let sha256: String?
  let priority: String
  let hold: Bool
  let stalledSeconds: Double?

  func value() throws(CommandFailure) -> RecordingStatus {
    guard let state = SyncState(rawValue: status) else {
      throw CommandFailure("the mount reports a status \"\(status)\" that this program does not know: update it")
    }
    let bytes = pathBase64.flatMap { Data(base64Encoded: $0) }.map { Array($0) } ?? Array(path.utf8)
    var value = RecordingStatus(state: state, path: bytes, destination: destination)
    value.session = session.flatMap(SessionID.init(text:))
    value.recordings = recordings
    value.isRecording = recording
    value.bytesWritten = bytesWritten
    value.bytesSynced = bytesSynced
    value.syncedThrough = syncedThrough ?? 0
    value.chunksTotal = chunksTotal
    value.chunksSynced = chunksSynced
    value.lagSeconds = lagSeconds
    value.lastSyncedAt = lastSyncedAt.flatMap(Timestamp.seconds(of:))
    value.error = error
    value.destinations = try (destinations ?? []).map { share throws(CommandFailure) in try share.value(of: bytesWritten) }
    value.sha256 = sha256
    value.priority = priority
    value.isHeld = hold
    value.stalledSeconds = stalledSeconds
    return value
  }
}

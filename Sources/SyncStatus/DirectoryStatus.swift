/// Sums up recordings, one at a time and in any order, into the status of a folder: the worst state wins.
public struct DirectoryStatus: Sendable {
  public private(set) var status: RecordingStatus
  public private(set) var counts = StateCounts()
  /// State of the recording whose error is shown.
  private var errorState = SyncState.synced

  /// A folder without recordings counts as synced: there is nothing that could be lost.
  public init(path: [UInt8], destination: String) {
    status = RecordingStatus(state: .synced, path: path, destination: destination)
  }

  /// Sum of `recordings`, which all lie below `path`.
  public static func sum(_ recordings: some Sequence<RecordingStatus>, path: [UInt8], destination: String)
    -> RecordingStatus
  {
    var sum = DirectoryStatus(path: path, destination: destination)
    for recording in recordings { sum.add(recording) }
    return sum.status
  }

  /// - Parameter recording: or the sum of several that are in the same state.
  public mutating func add(_ recording: RecordingStatus) {
    keepError(of: recording)
    counts[recording.state] += recording.recordings
    status.state = max(status.state, recording.state)
    status.recordings += recording.recordings
    status.isRecording = status.isRecording || recording.isRecording
    status.bytesWritten = Self.capped(status.bytesWritten, recording.bytesWritten)
    status.bytesSynced = Self.capped(status.bytesSynced, recording.bytesSynced)
    status.chunksTotal += recording.chunksTotal
    status.chunksSynced += recording.chunksSynced
    status.lagSeconds = max(status.lagSeconds, recording.lagSeconds)
    if let last = recording.lastSyncedAt { status.lastSyncedAt = max(last, status.lastSyncedAt ?? last) }
    status.isHeld = status.isHeld || recording.isHeld
    if let stalled = recording.stalledSeconds { status.stalledSeconds = max(stalled, status.stalledSeconds ?? 0) }
    for (place, share) in recording.destinations.enumerated() { add(share, at: place, of: recording) }
  }

  /// The same for each of several destinations.
  private mutating func add(_ share: DestinationShare, at place: Int, of recording: RecordingStatus) {
    if place == status.destinations.count { status.destinations.append(DestinationShare(name: share.name, state: .synced)) }
    var sum = status.destinations[place]
    if let error = share.error, sum.error == nil || share.state > sum.state {
      sum.error = recording.session == nil ? error : recording.pathText + ": " + error
    }
    sum.state = max(sum.state, share.state)
    sum.bytesWritten = Self.capped(sum.bytesWritten, share.bytesWritten)
    sum.bytesSynced = Self.capped(sum.bytesSynced, share.bytesSynced)
    sum.chunksSynced += share.chunksSynced
    if let last = share.lastSyncedAt { sum.lastSyncedAt = max(last, sum.lastSyncedAt ?? last) }
    status.destinations[place] = sum
  }

  /// Sparse files can claim more bytes than a sum can hold; a status view must not end the worker over it.
  private static func capped(_ left: Int64, _ right: Int64) -> Int64 {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? Int64.max : sum
  }

  /// The error shown is one of the worst state; among equals the first by path, whatever the order of adding.
  private mutating func keepError(of recording: RecordingStatus) {
    guard let error = recording.error else { return }
    let line = recording.path.isEmpty || recording.session == nil ? error : recording.pathText + ": " + error
    if let shown = status.error {
      guard recording.state > errorState || (recording.state == errorState && line < shown) else { return }
    }
    status.error = line
    errorState = recording.state
  }
}

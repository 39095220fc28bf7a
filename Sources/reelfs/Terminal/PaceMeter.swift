package import SyncStatus
import UploadProtocol

/// Learns from one snapshot to the next how fast each recording is being stored.
package struct PaceMeter {
  private struct Sample {
    var time: Double
    var bytesSynced: Int64
    var bytesPerSecond: Double?
  }

  /// Weight of the newest second: the figure settles within about five seconds and stays calm.
  private static let newWeight = 0.3
  private var samples: [SessionID: Sample] = [:]
  private var total: Sample?

  package init() {}

  /// Takes in a snapshot. Sessions that are gone are forgotten, so memory is bounded by the snapshot.
  package mutating func add(_ snapshot: StatusSnapshot) {
    let time = snapshot.overall.time
    var next: [SessionID: Sample] = [:]
    for recording in snapshot.recordings where recording.state != .synced {
      guard let session = recording.session else { continue }
      next[session] = Self.sample(recording.bytesSynced, at: time, after: samples[session])
    }
    samples = next
    total = Self.sample(snapshot.overall.total.bytesSynced, at: time, after: total)
  }

  private static func sample(_ bytesSynced: Int64, at time: Double, after last: Sample?) -> Sample {
    var sample = Sample(time: time, bytesSynced: bytesSynced, bytesPerSecond: nil)
    guard let last else { return sample }
    let seconds = time - last.time
    guard seconds > 0 else { return last }
    // A rewritten chunk makes stored bytes fewer: that is no speed.
    let pace = Double(max(0, bytesSynced - last.bytesSynced)) / seconds
    sample.bytesPerSecond = last.bytesPerSecond.map { $0 + newWeight * (pace - $0) } ?? pace
    return sample
  }

  /// Paces of what is moving; `secondsLeft` only where nobody writes any more.
  package func paces(_ snapshot: StatusSnapshot) -> WatchTable.Paces {
    var paces = WatchTable.Paces()
    for recording in snapshot.recordings {
      guard let session = recording.session else { continue }
      paces.recordings[session] = Self.pace(samples[session], of: recording)
    }
    // What was measured before the destination went away says nothing of when all will be stored.
    let isMoving = snapshot.overall.connection == .online && !snapshot.overall.isPaused
    if snapshot.overall.bytesWaiting > 0, isMoving { paces.total = Self.pace(total, of: snapshot.overall.total) }
    return paces
  }

  private static func pace(_ sample: Sample?, of recording: RecordingStatus) -> WatchTable.Pace? {
    guard let pace = sample?.bytesPerSecond, pace >= 1 else { return nil }
    let left = recording.isRecording ? nil : Double(recording.bytesWaiting) / pace
    return WatchTable.Pace(bytesPerSecond: pace, secondsLeft: left)
  }
}

package import SyncStatus
package import UploadProtocol

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

  package init() {}

  /// Takes in a snapshot. Sessions that are gone are forgotten, so memory is bounded by the snapshot.
  package mutating func add(_ snapshot: StatusSnapshot) {
    var next: [SessionID: Sample] = [:]
    for recording in snapshot.recordings where recording.state != .synced {
      guard let session = recording.session else { continue }
      var sample = Sample(time: snapshot.overall.time, bytesSynced: recording.bytesSynced, bytesPerSecond: nil)
      if let last = samples[session] {
        let seconds = sample.time - last.time
        guard seconds > 0 else {
          next[session] = last
          continue
        }
        // A rewritten chunk makes stored bytes fewer: that is no speed.
        let pace = Double(max(0, sample.bytesSynced - last.bytesSynced)) / seconds
        sample.bytesPerSecond = last.bytesPerSecond.map { $0 + Self.newWeight * (pace - $0) } ?? pace
      }
      next[session] = sample
    }
    samples = next
  }

  /// Paces of the recordings that are moving; `secondsLeft` only for those nobody writes any more.
  package func paces(_ recordings: [RecordingStatus]) -> [SessionID: StatusTable.Pace] {
    var paces: [SessionID: StatusTable.Pace] = [:]
    for recording in recordings {
      guard let session = recording.session, let pace = samples[session]?.bytesPerSecond, pace >= 1 else { continue }
      let left = recording.isRecording ? nil : Double(recording.bytesWaiting) / pace
      paces[session] = StatusTable.Pace(bytesPerSecond: pace, secondsLeft: left)
    }
    return paces
  }
}

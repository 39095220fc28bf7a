import Glibc
package import SyncStatus

/// Waits until everything asked about is stored, or cannot be stored without a person, or time is up.
package struct Drain {
  package enum Outcome: Equatable {
    case synced
    /// Only failed recordings are left: waiting does not help.
    case failed
    case timedOut(SyncState)
  }

  /// Often enough to feel immediate. With very many recordings, one look costs more than this: then a fifth of the
  /// time is spent looking, at most.
  static let pollSeconds = 0.5

  package let timeout: Double?
  /// Seconds on a clock that only grows.
  let now: () -> Double
  let sleep: (Double) -> Void

  package init(
    timeout: Double?, now: @escaping () -> Double = MonotonicSeconds.now,
    sleep: @escaping (Double) -> Void = MonotonicSeconds.sleep
  ) {
    self.timeout = timeout
    self.now = now
    self.sleep = sleep
  }

  /// Whoever waits does not wait for the next round of periodic sync: one is asked for this often at most.
  static let nudgeSeconds = 10.0

  /// - Parameters:
  ///   - onLook: given each status that is not the last.
  ///   - read: the present status; asked again and again.
  ///   - nudge: begins a round; called while the mount is between two and something is left to be sent.
  /// - Returns: how it ended, and the last status.
  package func wait(
    onLook: (StatusSnapshot) -> Void = { _ in }, _ read: () throws -> StatusSnapshot, nudge: () throws -> Void = {}
  ) throws -> (Outcome, StatusSnapshot) {
    let start = now()
    var nudged = -Double.infinity
    while true {
      let looked = now()
      let snapshot = try read()
      let counts = snapshot.overall.counts
      if snapshot.overall.total.state == .synced { return (.synced, snapshot) }
      if counts.failed > 0, counts.uploading == 0, counts.paused == 0 { return (.failed, snapshot) }
      if let timeout, now() - start >= timeout { return (.timedOut(snapshot.overall.total.state), snapshot) }
      onLook(snapshot)
      if snapshot.overall.nextRoundAt != nil, looked - nudged >= Self.nudgeSeconds {
        try nudge()
        nudged = looked
      }
      sleep(max(Self.pollSeconds, 4 * (now() - looked)))
    }
  }

  /// The same, with a line of progress where standard error is a terminal.
  func waitVisibly(
    _ read: () throws -> StatusSnapshot, nudge: () throws -> Void
  ) throws -> (Outcome, StatusSnapshot) {
    var display = ProgressDisplay(on: STDERR_FILENO)
    defer { display?.clear() }
    return try wait(onLook: { display?.show($0.overall) }, read, nudge: nudge)
  }

  /// What is not stored, at most ten lines: enough to act on, short enough to be read.
  package static func unfinished(_ snapshot: StatusSnapshot) -> String {
    let left = StatusTable.worstFirst(snapshot.recordings.filter { $0.state != .synced })
    var lines = left.prefix(10).map { recording in
      var line = "  \(Badge(of: recording).text) \(PrintableText.line(recording.pathText))"
      line += ": \(ByteSize.human(recording.bytesWaiting)) not stored"
      if let error = recording.error { line += " (\(PrintableText.line(error)))" }
      return line
    }
    if left.count > lines.count { lines.append("  and \(left.count - lines.count) more") }
    return lines.joined(separator: "\n")
  }
}

package enum MonotonicSeconds {
  package static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  package static func sleep(_ seconds: Double) {
    var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(seconds.truncatingRemainder(dividingBy: 1) * 1e9))
    nanosleep(&time, nil)
  }
}

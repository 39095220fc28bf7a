internal import DequeModule
internal import Synchronization
internal import UploadCore

// What the inbox asks for.
extension Spool {
  /// Chunks sealed in one turn, give or take a recording's batch: a hole of terabytes, or what was left unsealed while the
  /// mailbox was full, becomes events and rows turn by turn.
  private static let sealsMax = 4_096

  /// Seals what is due and ends settle times. Called on the uploader thread.
  func runTimers(now: Instant) {
    let (watched, settled) = table.withLock { table -> ([Recording], [Settling]) in
      let settled = Array(table.settling.prefix { $0.deadline <= now })
      table.settling.removeFirst(settled.count)
      // Not at every turn: thousands may be watched.
      guard table.hasDraining || table.nextLook <= now else { return ([], settled) }
      table.hasDraining = false
      table.nextLook = now + Self.watchInterval
      return (Array(table.watched.values), settled)
    }
    for end in settled { end.recording?.settled(opening: end.opening) }
    var budget = Self.sealsMax
    for recording in watched {
      guard budget > 0 else { return table.withLock { $0.hasDraining = true } }
      switch recording.sealDue(now: now, &budget) {
      case .nothingLeft, .later: break
      case .atOnce: table.withLock { $0.hasDraining = true }
      }
    }
  }

  /// Ends every settle time at once: the mount is gone, nobody comes back.
  public func settleAll() {
    let settling = table.withLock { table in
      defer { table.settling = [] }
      return Array(table.settling)
    }
    for end in settling { end.recording?.settled(opening: end.opening) }
  }

  func drainMailbox() -> [SpoolMessage] { mailbox.drain() }

  /// Between two looks at recordings with unsealed chunks: fine enough for delays of seconds, and idle when there are none.
  private static let watchInterval = Span.milliseconds(250)

  func timerDeadline(now: Instant) -> Instant? {
    table.withLock { table in
      if table.hasDraining { return now }
      let watch = table.watched.isEmpty ? nil : max(now, table.nextLook)
      guard let settle = table.settling.first?.deadline else { return watch }
      return watch.map { min($0, settle) } ?? settle
    }
  }
}

import UploadProtocol

/// Small recordings that travel whole, many of them in one request: announced, stored and complete with one answer.
///
/// Whatever comes of it but a receipt, the longer way (announce, chunk, complete) is open to a recording at once: nothing that
/// can go wrong with one needs a rule of its own here. Only where the request failed as a whole, and nothing is known of the
/// recordings in it, they are tried together again, a few times.
extension UploadScheduler {
  /// Of one request: the receiver syncs its disk once for all of them, and more save nothing.
  package static let recordingsMax = 64
  /// Bytes of them. With what is said of each (`WholeRecording`, 3 KiB at most) it stays below 1 MiB, nginx's default limit.
  package static let recordingsBytesMax = 768 << 10

  /// How often a recording is sent whole: an outage takes one attempt, and what keeps failing for its length must not for ever.
  static let wholeAttemptsMax = 3

  var wholeBytesMax: Int { refusesRecordings ? 0 : policy.wholeBytesMax }

  /// `first` and those whose turn would be next in its lane, as long as they are small recordings too.
  mutating func startRecordings(with first: SessionID) {
    var batch = [first]
    var bytes = sessions[first]?.size ?? 0
    queue.place(first, in: nil)
    while batch.count < Self.recordingsMax, let next = queue.nextAlong(), let entry = sessions[next], let size = entry.size,
      bytes + size <= Int64(Self.recordingsBytesMax), entry.work(wholeBytesMax: wholeBytesMax) == .whole
    {
      queue.takeAlong(next)
      batch.append(next)
      bytes += size
    }
    let id = lease(.recordings(batch), charged: Int(bytes))
    for session in batch {
      sessions[session]?.conversation = id
      sessions[session]?.isFresh = false
      sessions[session]?.wholeAttempts += 1
      sessions[session]?.isRenamed = false
      sessions[session]?.isChanged = false
      refresh(session)
    }
  }

  mutating func recordingsEnded(_ transfer: InFlight, _ batch: [SessionID], _ outcome: TransferOutcome) {
    switch outcome {
    case .recordingsStored(let stored):
      limiter.refund(bytes: max(0, transfer.charged - stored.reduce(0) { $0 + $1.bytes }))
      if let first = stored.first { succeeded(first.session) }
      for recording in stored { recordingStored(recording) }
    case .recordingsUntaken:
      limiter.refund(bytes: transfer.charged)
      refusesRecordings = true
      // Some have waited to be sent whole.
      for session in sessions.keys.sorted() { refresh(session) }
    case .unreachable:
      limiter.refund(bytes: transfer.charged)
      tryTogetherAgain(batch)
      suspect(because: transfer)
    case .retryable(_, let after):
      tryTogetherAgain(batch)
      destinationFailed(transfer, batch[0], after: after)
    case .throttled(_, let after):
      tryTogetherAgain(batch)
      destinationFailed(transfer, batch[0], after: after ?? policy.retryInitial)
      connection.spacing.refused(transfer.id.number, next: nextTransfer, policy: policy, at: now, using: &generator)
    case .blocked(let reason, let message):
      tryTogetherAgain(batch)
      becameBlocked(reason, message)
    case .unreadable, .notHere, .stale: limiter.refund(bytes: transfer.charged)
    case .stored, .runStored, .advanced, .rolledBack, .announced, .completed, .incomplete, .superseded, .sessionUnknown,
      .reachable, .rejected, .corrupted:
      break
    }
    for session in batch {
      refresh(session)
      if sessions[session]?.isSynced == true { perhapsSettled.append(session) }
    }
  }

  mutating func tryTogetherAgain(_ batch: [SessionID]) {
    for session in batch {
      guard let entry = sessions[session], !entry.isAnnounced else { continue }
      sessions[session]?.isFresh = entry.wholeAttempts < Self.wholeAttemptsMax
    }
  }

  private mutating func recordingStored(_ recording: StoredRecording) {
    let session = recording.session
    // Changed since: the receipt is of an older version.
    guard let entry = sessions[session], !entry.isChanged else { return }
    sessions[session]?.pending.remove(0)
    effects.append(.record(.stored(ChunkID(session, 0), recording.version, recording.digest)))
    effects.append(.announce(.chunkUploaded(ChunkID(session, 0))))
    // Renamed since: it is announced under its new name, and completed again.
    guard !entry.isRenamed, recording.facts == entry.facts else { return }
    remember(session, announcedAs: recording.facts)
    becameSynced(session, recording.revision)
  }
}

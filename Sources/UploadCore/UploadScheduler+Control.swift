import UploadProtocol

/// What people ask for.
extension UploadScheduler {
  mutating func control(_ command: ControlCommand) {
    switch command {
    case .pauseAll: pause()
    case .resumeAll: resume()
    case .hold(let session): hold(session, true)
    case .release(let session):
      hold(session, false)
      clearFailure(of: session)
      refresh(session)
    case .prioritize(let session, let priority): prioritize(session, priority)
    case .limit(let bytesPerSecond): limiter.change(to: bytesPerSecond, at: now)
    case .processUploads(let session, let force): processUploads(session, force: force)
    case .metered(let isOnMeter): metered(isOnMeter)
    case .adopt(let policy): adopt(policy)
    }
  }

  /// What is in flight (at most `parallel` chunks) arrives; nothing more starts.
  private mutating func pause() {
    guard !isPausedByUser else { return }
    isPausedByUser = true
    effects.append(.record(.pausedByUser(true)))
    effects.append(.announce(.uploadPaused(UploadNotice.pausedByUser)))
  }

  /// Whoever resumes takes the cost of a metered connection upon himself, until it has been another one.
  private mutating func resume() {
    if isOnMeter { metered(false) }
    if isPausedByUser {
      isPausedByUser = false
      effects.append(.record(.pausedByUser(false)))
      effects.append(.announce(.uploadResumed))
    }
    probeSoon()
  }

  private mutating func metered(_ isOnMeter: Bool) {
    guard isOnMeter != self.isOnMeter else { return }
    self.isOnMeter = isOnMeter
    effects.append(.announce(isOnMeter ? .uploadPaused("the connection is metered") : .uploadResumed))
    if !isOnMeter { probeSoon() }
  }

  private mutating func adopt(_ changed: UploadPolicy) {
    let old = policy
    policy = changed
    policy.geometry = old.geometry
    policy.wholeBytesMax = old.wholeBytesMax
    if changed.bytesPerSecondMax != old.bytesPerSecondMax { limiter.change(to: changed.bytesPerSecondMax, at: now) }
    rounds.change(to: changed.syncEvery, at: now, least: policy.roundLeast)
    // What is in flight beyond a smaller number arrives.
    connection.window.shrink(to: policy.parallel)
  }

  private mutating func hold(_ session: SessionID, _ isHeld: Bool) {
    guard let entry = sessions[session], entry.isHeld != isHeld else { return }
    sessions[session]?.isHeld = isHeld
    effects.append(.record(.held(session, isHeld)))
    refresh(session)
  }

  private mutating func prioritize(_ session: SessionID, _ priority: UploadPriority) {
    guard let entry = sessions[session], entry.priority != priority else { return }
    sessions[session]?.priority = priority
    effects.append(.record(.prioritized(session, priority)))
    refresh(session)
  }

  /// Walks through all sessions when none is named: a person asked, so once in a while.
  private mutating func processUploads(_ session: SessionID?, force: Bool) {
    let chosen = session.map { [$0] } ?? sessions.keys.sorted()
    if force {
      for transfer in transfers {
        let owners = transfer.request.sessions
        guard !owners.isEmpty, session.map(owners.contains) ?? true else { continue }
        cancel(transfer.id)
        putBack(transfer)
        for owner in owners { refresh(owner) }
      }
    }
    for session in chosen {
      forgetDelay(of: session)
      guard force else { continue }
      clearFailure(of: session)
      refresh(session)
    }
    connection.notBefore = nil
    connection.spacing.forget()
    rounds.begin(at: now, least: policy.roundLeast)
    probeSoon()
  }
}

import HeapModule
import UploadProtocol

/// Delays, and the end of them.
extension UploadScheduler {
  /// The attempt failed for now: its chunk waits again, and the session rests.
  mutating func giveBack(_ transfer: InFlight, _ message: String) {
    putBack(transfer)
    guard let session = transfer.request.session else { return }
    delay(session, message, mark: transfer.id.number)
  }

  /// The session rests. A burst of failures of requests that were in flight together counts once.
  /// - Parameters:
  ///   - mark: number of the failed transfer.
  ///   - failuresMin: what the delay is at least worth, where small successes in between keep resetting the count.
  mutating func delay(_ session: SessionID, _ message: String, mark: UInt64, failuresMin: Int = 1) {
    guard let failures = rest(session, message, mark: mark, failuresMin: failuresMin) else { return }
    // Once a row, and once more when it looks lasting: a log is no place for every attempt of a bad night.
    if failures == 1 || failures == policy.maxConsecutiveFailures {
      effects.append(.announce(.uploadError(session, index: nil, message)))
    }
  }

  /// The same, and nothing to tell.
  /// - Returns: attempts in a row that led nowhere; nil when this one has been counted.
  @discardableResult
  mutating func rest(_ session: SessionID, _ message: String, mark: UInt64, failuresMin: Int = 1) -> Int? {
    guard let entry = sessions[session] else { return nil }
    let isSameBurst = mark < entry.failureMark
    guard !isSameBurst || entry.notBefore == nil else { return nil }
    let failures = max(1, failuresMin, isSameBurst ? entry.failures : entry.failures + 1)
    let moment = now + RetryDelay.after(failures: failures, policy: policy, using: &generator)
    sessions[session]?.failures = failures
    sessions[session]?.failureMark = nextTransfer
    sessions[session]?.notBefore = moment
    delays.insert(DelayTicket(moment: moment, session: session))
    if troubled.count < Self.troubledMax || troubled[session] != nil { troubled[session] = message }
    refresh(session)
    return failures
  }

  /// An answer that is no failure but stored nothing.
  mutating func detour(_ transfer: InFlight, _ message: String) {
    guard let session = transfer.request.session else { return }
    detour(session, message)
  }

  mutating func detour(_ session: SessionID, _ message: String) {
    let detours = (sessions[session]?.detours ?? 0) + 1
    sessions[session]?.detours = detours
    guard detours > Self.detoursMax else { return }
    delay(session, message, mark: nextTransfer, failuresMin: detours - Self.detoursMax)
  }

  /// The destination took something of this session.
  mutating func succeeded(_ session: SessionID) {
    connection.window.succeeded(most: policy.parallel)
    connection.failures = 0
    connection.lastFailed = nil
    if connection.stillFull != nil {
      connection.stillFull = nil
      effects.append(.announce(.uploadResumed))
    }
    // Somebody is there after all.
    if case .offline = connection.state { probeSoon() }
    forgetDelay(of: session)
  }

  mutating func forgetDelay(of session: SessionID) {
    guard sessions[session] != nil else { return }
    sessions[session]?.failures = 0
    sessions[session]?.notBefore = nil
    troubled[session] = nil
    refresh(session)
  }

  /// A permanent refusal: the others go on.
  mutating func failed(_ session: SessionID, _ transfer: InFlight, _ message: String) {
    // Other bytes were refused than those it has now.
    guard !transfer.isStale else { return giveBack(transfer, message) }
    putBack(transfer)
    guard sessions[session]?.failure == nil else { return }
    sessions[session]?.failure = message
    effects.append(.record(.failed(session, message)))
    effects.append(.announce(.uploadError(session, index: transfer.request.chunks.first, message)))
  }
}

import UploadCore
import UploadProtocol

/// What ends processes and machines, on either side.
extension SimulatedWorld {
  // MARK: The receiver

  /// What was acknowledged stays; what was not may be either way. For a while nobody listens.
  func crashReceiver() {
    let requests = active
    active = []
    abandonExchanges()
    for request in requests {
      if destination.kind == .chunks, Bool.random(using: &generator) { _ = receiver.answer(request.payload) }
      reports.append(.transferred(request.transfer.id, .unreachable("connection reset")))
      checker.reported(.unreachable(""), to: request.transfer, at: now)
    }
    waitingAnswers = []
    unreachableUntil = max(unreachableUntil, now + generator.span(upTo: weights.outageMax))
    isBlackHole = false
  }

  /// Its machine loses power: whatever it had not synced is gone, and none of that was acknowledged.
  func cutReceiverPower() {
    crashReceiver()
    receiver.cutPower()
    checker.checkKept(self)
  }

  /// A receiver that dies again and again, as one that is started by a supervisor and has not enough memory.
  func beginReceiverStorm() {
    for _ in 0..<Int.random(in: 2...8, using: &generator) {
      schedule(.receiverCrash, after: generator.span(upTo: .seconds(120)))
    }
  }

  // MARK: This machine

  /// SIGKILL of the worker: memory is gone, files and committed rows are not. What is on the wire may still arrive.
  func kill() {
    guard !isDead else { return }
    note("☠ killed")
    isDead = true
    callsToLive = nil
    if destination.kind == .chunks {
      for request in active where Bool.random(using: &generator) { _ = receiver.answer(request.payload) }
    }
    abandonExchanges()
    active = []
    waitingAnswers = []
    reports = []
    mail = []
    process += 1
    for session in sessions { files[session]?.fetching = [] }
  }

  /// Files lose what was not synced, and the journal its last commits, independently of each other.
  func cutPower() {
    kill()
    note("☠ power cut")
    journal.cutPower(survivors: Int.random(in: 0...journal.unsyncedCount, using: &generator))
    for session in sessions {
      guard var file = files[session] else { continue }
      if journal.rows.sessions[session]?.isSynced != true { doubted.insert(session) }
      // A new file whose folder was never synced may not be there at all.
      if file.syncedSize == 0, file.isDirty, generator.percent(10) {
        forget(session)
        continue
      }
      file.isOpen = false
      file.isRolledBack = true
      let before = file
      file.revert(using: &generator)
      findEvicted(&file)
      checker.cutPower(before: before, after: file)
      files[session] = file
    }
  }

  /// Which bytes are at the destination only: the journal knows.
  private func findEvicted(_ file: inout SimulatedFile) {
    let rows = journal.rows.sessions[file.session]?.chunks ?? [:]
    for index in 0..<file.chunkCount {
      guard let row = rows[index], row.state == .evicted, let digest = row.digest else { continue }
      file.isElsewhere(index, SimulatedFile.content(of: digest))
    }
  }

  /// A service manager that starts a worker that dies at once, again and again.
  func beginKillStorm() {
    killsLeft = Int.random(in: 2...10, using: &generator)
    kill()
  }
}

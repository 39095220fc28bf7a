public import UploadCore
internal import Foundation
internal import GRDB
internal import Glibc
internal import Synchronization

// The journal and its disk: full, failing, or switched off.
extension Journal {
  /// What a failure of SQLite means.
  static func translated(_ error: any Error) -> JournalError {
    if let error = error as? JournalError { return error }
    guard let error = error as? DatabaseError else { return JournalError("\(error)") }
    let kind: JournalError.Kind =
      switch (error.resultCode, error.extendedResultCode) {
      // Space for the log's index could not be had.
      case (.SQLITE_FULL, _), (_, .SQLITE_IOERR_SHMSIZE): .full
      // A file that ends too early is damaged, not unreadable.
      case (_, .SQLITE_IOERR_SHORT_READ): .other
      case (.SQLITE_IOERR, _), (.SQLITE_CANTOPEN, _), (.SQLITE_READONLY, _), (.SQLITE_PERM, _), (.SQLITE_BUSY, _),
        (.SQLITE_LOCKED, _), (.SQLITE_NOMEM, _):
        .disk
      default: .other
      }
    return JournalError("\(error)", kind)
  }

  /// Makes room for the journal on a full disk: first what the write-ahead log holds goes into the database, so that the
  /// log begins anew in the space it has; then the reserve is given up.
  func makeSpace(attempt: Int) -> Bool {
    switch attempt {
    case 1: return (try? pool.writeWithoutTransaction { try $0.checkpoint(.passive) }) != nil
    case 2: return reserve.giveUp()
    default: return false
    }
  }

  /// Makes every commit so far survive a power cut: WAL frames are checksummed, so what has reached the disk counts.
  ///
  /// Once it has failed it fails until the next start: the kernel calls pages clean that it could not write, so a later
  /// success would say nothing of these commits. A start reads the log again by its checksums.
  public func makeDurable() throws(JournalError) {
    let descriptor = try log.withLock { log throws(JournalError) -> Int32 in
      if let failure = log.failure { throw failure }
      // Kept open, so that no failed write-back in between goes unseen. No log: everything is in the database, synced.
      if log.descriptor < 0 { log.descriptor = open(path + "-wal", O_RDONLY | O_CLOEXEC) }
      return log.descriptor
    }
    guard descriptor >= 0, fdatasync(descriptor) != 0 else { return }
    let words = String(cString: strerror(errno))
    let failure = JournalError(
      "cannot sync \(path)-wal: \(words); what it holds may be lost in a power cut until `reelfs restart` reads it again")
    log.withLock { $0.failure = failure }
    throw failure
  }

  /// Once a second, on a thread for which no kernel thread waits: receipts of the last second are made to survive a power
  /// cut, and the reserve is made anew if it was given up.
  func keepSafe() {
    if hasNewReceipts.exchange(false, ordering: .relaxed) {
      do { try makeDurable() } catch { hasNewReceipts.store(true, ordering: .relaxed) }
    }
    reserve.make()
  }

  /// The log's open file, and why it cannot be relied on any more.
  struct Log {
    var descriptor: Int32 = -1
    var failure: JournalError?
  }
}

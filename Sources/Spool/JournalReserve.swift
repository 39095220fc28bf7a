internal import CLinux
internal import Glibc
internal import Synchronization

/// Space of the disk that is kept for the journal, so that it can still be written when everything else is full.
///
/// A file beside the journal with nothing in it. When SQLite finds the disk full the file is removed, and what that frees is
/// taken for the write-ahead log in the same moment, before whoever fills the disk gets it. Made anew once there is space.
/// A file and not only a longer log: it outlives a clean end, which removes the log, so that a mount can also begin on a
/// full disk.
final class JournalReserve: Sendable {
  /// Some hundred commits: enough for days of rewrites and for every receipt of what is in flight.
  private static let bytesMax: Int64 = 8 << 20
  /// Of a small disk it takes no more than this part.
  private static let diskPart: Int64 = 32

  private let path: String
  private let log: String
  private let isThere: Atomic<Bool>

  /// - Parameter journal: the path of the database.
  init(journal: String) {
    path = journal + ".reserve"
    log = journal + "-wal"
    isThere = Atomic(access(path, F_OK) == 0)
  }

  /// Before SQLite makes the log and its index, which it maps: a page of it without space behind it ends the process.
  func makeRoomToBegin() {
    var space = statvfs()
    if statvfs(path, &space) == 0, Int64(space.f_bavail) * Int64(space.f_frsize) < 1 << 20 { _ = giveUp() }
  }

  /// Makes the file when it is missing and half of what is free would do. Any thread, at any time.
  func make() {
    guard !isThere.load(ordering: .relaxed) else { return }
    var space = statvfs()
    guard statvfs(log, &space) == 0 else { return }
    let bytes = min(Self.bytesMax, Int64(space.f_blocks) * Int64(space.f_frsize) / Self.diskPart)
    guard Int64(space.f_bavail) * Int64(space.f_frsize) >= 2 * bytes else { return }
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    // A file system that cannot reserve has no reserve: the file would be a promise without space behind it.
    if fallocate(descriptor, 0, 0, Int(bytes)) == 0 { isThere.store(true, ordering: .relaxed) } else { unlink(path) }
  }

  /// The journal found the disk full. - Returns: whether it is worth another try.
  func giveUp() -> Bool {
    guard isThere.exchange(false, ordering: .relaxed) else { return false }
    var status = stat()
    guard stat(path, &status) == 0, unlink(path) == 0 else { return false }
    let descriptor = open(log, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    var length = stat()
    guard fstat(descriptor, &length) == 0 else { return true }
    // The last quarter is for the database itself, which grows when the log is copied into it.
    _ = fallocate(descriptor, FALLOC_FL_KEEP_SIZE, length.st_size, status.st_size / 4 * 3)
    return true
  }
}

import Glibc
import UploadCore

/// A system call on the destination folder that failed.
struct FolderError: Error, Equatable {
  let number: Int32
  /// What was tried, for people.
  let what: String

  init(_ what: String, number: Int32 = errno) {
    self.number = number
    self.what = what
  }

  var words: String { "\(what): \(String(cString: strerror(number)))" }

  /// What it means to the scheduler: the only place that knows.
  var outcome: TransferOutcome {
    switch number {
    case ENOSPC, EDQUOT, EFBIG: .blocked(.full, "the destination is full: \(words)")
    case EACCES, EPERM, EROFS: .blocked(.credentials, "the destination folder cannot be written: \(words)")
    case ENAMETOOLONG, EINVAL, EILSEQ, ELOOP:
      .rejected("the destination's file system does not take this name: \(words)")
    // A disk that was pulled out, a server of the network folder that is away: it comes back.
    case ENOENT, ENODEV, ENXIO, ENOTDIR, EIO, ESTALE, ENOTCONN, EHOSTDOWN, EHOSTUNREACH, ETIMEDOUT:
      .unreachable("the destination folder is not there: \(words)")
    default: .retryable(words, after: nil)
    }
  }
}

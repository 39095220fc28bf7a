import Glibc
import SystemPackage

/// A system call on the data folder that failed, and what it was about.
struct IOFailure: Error, CustomStringConvertible {
  let errno: Errno
  let action: String

  /// Reads `errno` of the call that has just failed; nothing may run in between.
  static func last(_ action: @autoclosure () -> String) -> IOFailure {
    let number = Glibc.errno
    return IOFailure(errno: Errno(rawValue: number), action: action())
  }

  var isNoSpace: Bool { errno == .noSpace || errno == .diskQuotaExceeded }
  var isMissing: Bool { errno == .noSuchFileOrDirectory }

  var description: String { "\(action): \(errno)" }
}

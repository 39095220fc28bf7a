import Foundation
import Glibc
import TestSupport

/// What this machine has of what mount tests need.
enum Machine {
  /// The program under test: `$REELFS`, or beside the test program.
  static let reelfs: String =
    ProcessInfo.processInfo.environment["REELFS"]
    ?? built("reelfs")

  static let canMount = access("/dev/fuse", R_OK | W_OK) == 0 && access(reelfs, X_OK) == 0
  static let isRoot = geteuid() == 0

  /// fusermount3 is set-user-id, which a container can be told to ignore (PR_SET_NO_NEW_PRIVS).
  static let usersCanMount = has("fusermount3")
    && (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8).contains("NoNewPrivs:\t0")) == true

  static func has(_ programs: String...) -> Bool {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
    return programs.allSatisfy { program in folders.contains { access("\($0)/\(program)", X_OK) == 0 } }
  }
}

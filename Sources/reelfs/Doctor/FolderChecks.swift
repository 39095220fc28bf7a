import Glibc
import SyncStatus

/// Whether a destination folder is there and can be written.
enum FolderChecks {
  /// Less than this and the next recording may not fit.
  private static let freeBytesMin: Int64 = 1 << 30

  static func all(_ path: String) -> [Finding] {
    guard SystemFiles.isDirectory(path) else {
      return [Finding(.bad, "destination", "there is no folder \(path)", mend: "mount the disk, or create the folder")]
    }
    guard access(path, W_OK | X_OK) == 0 else {
      return [Finding(.bad, "destination", "\(path): \(String(cString: strerror(errno)))", mend: "allow writing there")]
    }
    var facts = statvfs()
    guard statvfs(path, &facts) == 0 else { return [Finding(.warn, "destination", "\(path): \(String(cString: strerror(errno)))")] }
    let free = Int64(clamping: UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize)).partialValue)
    return [
      free >= freeBytesMin
        ? Finding(.ok, "destination", "\(path) can be written, \(ByteSize.human(free)) are free")
        : Finding(.warn, "destination", "only \(ByteSize.human(free)) are free in \(path)", mend: "free some")
    ]
  }
}

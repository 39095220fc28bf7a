internal import Foundation

/// How a process ends that closes its files just now.
enum ProcessFate {
  /// PF_SIGNALED of the kernel's task flags, which the ninth field of /proc/PID/stat shows: a signal ends it.
  private static let signaled: UInt64 = 0x400

  /// Whether a signal is ending the thread with this number. Asked while it waits for a close, so the number is still its own;
  /// 0 (in another process namespace) is nobody.
  static func isBeingKilled(_ process: Int32) -> Bool {
    guard process > 0, let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .isoLatin1) else { return false }
    return flags(inStat: text).map { $0 & signaled != 0 } ?? false
  }

  /// The name in the second field may hold anything, also blanks and brackets.
  static func flags(inStat text: String) -> UInt64? {
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 6 ? UInt64(fields[6]) : nil
  }
}

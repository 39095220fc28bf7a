import CurlTransport
import Foundation
import Glibc
import Supervisor
import SyncStatus

/// What the machine is, in the words of its own tools.
enum SystemFacts {
  static func versions() -> String {
    var lines = ["reelfs: \(ReelfsVersion.text)"]
    var name = utsname()
    if uname(&name) == 0 {
      let words = [name.sysname, name.release, name.version, name.machine].map { field in
        withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      }
      lines.append("kernel: " + words.joined(separator: " "))
    }
    lines.append("libcurl: " + CurlGlobal.version)
    lines.append("user: \(geteuid())")
    lines.append("fusermount3: " + (output(of: ["fusermount3", "-V"]) ?? "missing\n").trimmingCharacters(in: .newlines))
    let release = (try? SystemFiles.read("/etc/os-release", bytesMax: 1 << 16)) ?? []
    return lines.joined(separator: "\n") + "\n\n" + String(decoding: release, as: UTF8.self)
  }

  /// Only what FUSE or a disk has to do with it: container mounts and the like are nobody's business.
  static func mounts() -> String {
    guard let bytes = try? SystemFiles.read("/proc/self/mountinfo", bytesMax: 32 << 20) else { return "cannot be read\n" }
    let wanted = ["fuse", "ext", "xfs", "btrfs", "zfs", "nfs", "cifs", "smb", "tmpfs", "overlay", "f2fs", "vfat", "exfat"]
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { line in
      guard let type = line.components(separatedBy: " - ").last else { return false }
      return wanted.contains { type.hasPrefix($0) }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  static func space(_ folder: String) -> String {
    var facts = statvfs()
    guard statvfs(folder, &facts) == 0 else { return "\(folder): \(String(cString: strerror(errno)))\n" }
    return """
      \(folder)
      bytes: \(UInt64(facts.f_blocks) &* UInt64(facts.f_frsize))
      bytes_free: \(UInt64(facts.f_bavail) &* UInt64(facts.f_frsize))
      files: \(facts.f_files)
      files_free: \(facts.f_favail)

      """
  }

  /// What services said; a mount that was started by hand says it on its terminal.
  static func log(lines: String) -> String {
    let parts = [["--unit", "reelfs*"], ["--user-unit", "reelfs*"]].compactMap {
      output(of: ["journalctl", "--quiet", "--no-pager", "--output", "short-iso", "--lines", lines] + $0)
    }
    let text = parts.joined()
    return text.isEmpty ? "nothing in the system's log, or it may not be read\n" : text
  }

  /// A log of years is searched for its last lines.
  private static let secondsMax = 60.0

  private static func output(of words: [String]) -> String? { ToolCommand(words).output(secondsMax: secondsMax) }
}

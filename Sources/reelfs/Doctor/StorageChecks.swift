import Foundation
import Glibc
import SyncStatus

/// Whether the state directory can hold a spool and a journal, and the token file keeps its secret.
package enum StorageChecks {
  /// Less than this and a recorder is soon told that the disk is full.
  private static let freeBytesMin: Int64 = 1 << 30

  /// Checks the folder itself, or, when it does not exist yet, the nearest one that does.
  package static func stateDirectory(_ path: String) -> [Finding] {
    var folder = path
    while SystemFiles.mode(of: folder) == nil, folder.count > 1 {
      let parent = folder.split(separator: "/").dropLast().joined(separator: "/")
      folder = folder.hasPrefix("/") ? "/" + parent : (parent.isEmpty ? "." : parent)
      if folder == "." { break }
    }
    guard SystemFiles.isDirectory(folder) else {
      return [Finding(.bad, "state directory", "\(folder) is not a folder", mend: "choose another --state-dir")]
    }
    var template = Array("\(folder)/.reelfs-doctor-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else {
      let reason = String(cString: strerror(errno))
      return [
        Finding(
          .bad, "state directory", "\(folder) cannot be written: \(reason)",
          mend: "chown it to yourself, or choose another --state-dir")
      ]
    }
    close(descriptor)
    let probe = template.withUnsafeBufferPointer {
      String(decoding: $0.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    defer { unlink(probe) }
    return [Finding(.ok, "state directory", "\(path) can be written"), attributes(probe, folder), space(folder)]
  }

  private static func attributes(_ probe: String, _ folder: String) -> Finding {
    let number = UserAttributes.set("user.reelfs.doctor", [1], on: probe)
    if number == 0 { return Finding(.ok, "extended attributes", "kept in \(folder)") }
    return Finding(
      .bad, "extended attributes", "not kept in \(folder): \(String(cString: strerror(number)))",
      mend: "put --state-dir on ext4, XFS, Btrfs or another file system with user.* attributes")
  }

  private static func space(_ folder: String) -> Finding {
    var facts = statvfs()
    guard statvfs(folder, &facts) == 0 else {
      return Finding(.warn, "free space", "unknown: \(String(cString: strerror(errno)))")
    }
    let free = Int64(
      clamping: UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize)).partialValue)
    guard free >= freeBytesMin else {
      return Finding(
        .warn, "free space", "only \(ByteSize.human(free)) in \(folder)",
        mend: "free some, or choose another --state-dir: recordings wait there while the destination is away")
    }
    return Finding(.ok, "free space", "\(ByteSize.human(free)) in \(folder)")
  }

  /// The journals of `folder`, or of the mounts that keep theirs below it. Only whether SQLite would take them for its
  /// own: what is in them is checked, and mended, by the next mount.
  package static func journals(_ folder: String) -> [Finding] {
    let below = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    let candidates = [folder + "/journal.sqlite"] + below.map { folder + "/" + $0 + "/state/journal.sqlite" }
    return candidates.filter { SystemFiles.mode(of: $0) != nil }.map(journal)
  }

  private static func journal(_ path: String) -> Finding {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      return Finding(.bad, "journal", "\(path): \(String(cString: strerror(errno)))", mend: "chown it to yourself")
    }
    defer { close(descriptor) }
    var head = [UInt8](repeating: 0, count: 16)
    let count = read(descriptor, &head, head.count)
    // A journal that was never written to is empty.
    if count == 0 || (count == 16 && head.elementsEqual("SQLite format 3\0".utf8)) {
      return Finding(.ok, "journal", path)
    }
    return Finding(
      .warn, "journal", "\(path) is damaged",
      mend: "mount it: the journal is set aside and rebuilt from the recordings, nothing of them is lost")
  }

  package static func tokenFile(_ path: String) -> Finding {
    guard let facts = SystemFiles.mode(of: path) else {
      return Finding(.bad, "token file", "\(path): \(String(cString: strerror(errno)))", mend: "correct --token-file")
    }
    do {
      _ = try TokenFile.read(path)
    } catch {
      return Finding(.bad, "token file", error.message, mend: "write the token on one line into it")
    }
    if facts.mode & 0o077 != 0 {
      return Finding(.warn, "token file", "\(path) is open to other users", mend: "chmod 600 \(path)")
    }
    return Finding(.ok, "token file", "\(path) is yours alone")
  }
}

import Foundation
import Glibc
import Spool
import SyncStatus

/// Whether the state directory can hold a spool and a journal, and the token file keeps its secret.
package enum StorageChecks {
  /// Less than this and a recorder is soon told that the disk is full.
  private static let freeBytesMin: Int64 = 1 << 30
  /// A chunk or two on their way, and what the journal keeps in reserve.
  private static let fullBytes: Int64 = 16 << 20

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
    let probe: String
    switch probeFile(in: folder) {
    case .success(let path): probe = path
    case .failure(let failure): return [unwritable(folder, failure.number, "state directory", "choose another --state-dir")]
    }
    defer { unlink(probe) }
    return [
      Finding(.ok, "state directory", "\(path) can be written"), attributes(probe, folder),
      space(folder, "free space", "choose another --state-dir: recordings wait there while the destination is away"),
    ]
  }

  /// An empty file of a new name, and its path.
  private static func probeFile(in folder: String) -> Result<String, SystemFailure> {
    var template = Array("\(folder)/.reelfs-doctor-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { return .failure(SystemFailure(errno, folder)) }
    close(descriptor)
    return .success(
      template.withUnsafeBufferPointer { String(decoding: $0.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self) })
  }

  private static func unwritable(_ folder: String, _ number: Int32, _ subject: String, _ otherwise: String) -> Finding {
    let remedy =
      switch number {
      case ENOSPC, EDQUOT: "free some space there, or"
      case EROFS: "mount it for writing (look into dmesg: a failing disk turns read-only), or"
      default: "chown it to yourself, or"
      }
    return Finding(
      .bad, subject, "\(folder) cannot be written: \(String(cString: strerror(number)))", mend: "\(remedy) \(otherwise)")
  }

  private static func attributes(_ probe: String, _ folder: String) -> Finding {
    let number = UserAttributes.set("user.reelfs.doctor", [1], on: probe)
    if number == 0 { return Finding(.ok, "extended attributes", "kept in \(folder)") }
    return Finding(
      .bad, "extended attributes", "not kept in \(folder): \(String(cString: strerror(number)))",
      mend: "put --state-dir on ext4, XFS, Btrfs or another file system with user.* attributes")
  }

  private static func space(_ folder: String, _ subject: String, _ otherwise: String) -> Finding {
    var facts = statvfs()
    guard statvfs(folder, &facts) == 0 else {
      return Finding(.warn, subject, "unknown: \(String(cString: strerror(errno)))")
    }
    let free = Int64(
      clamping: UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize)).partialValue)
    if free < fullBytes {
      return Finding(
        .bad, subject, "\(folder) is full: only \(ByteSize.human(free)) are left", mend: "free some, or \(otherwise)")
    }
    if facts.f_files > 0, facts.f_favail < 64 {
      return Finding(
        .bad, subject, "\(folder) can hold only \(facts.f_favail) more files", mend: "remove small files, or \(otherwise)")
    }
    guard free >= freeBytesMin else {
      return Finding(.warn, subject, "only \(ByteSize.human(free)) in \(folder)", mend: "free some, or \(otherwise)")
    }
    return Finding(.ok, subject, "\(ByteSize.human(free)) in \(folder)")
  }

  /// The journals of `folder`, or of the mounts that keep theirs below it, looked through by SQLite. What is in them is
  /// checked, and mended, by the next mount.
  package static func journals(_ folder: String) -> [Finding] { journalPaths(folder).map(journal) }

  static func journalPaths(_ folder: String) -> [String] {
    let below = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    let candidates = [folder + "/journal.sqlite"] + below.map { folder + "/" + $0 + "/state/journal.sqlite" }
    return candidates.filter { SystemFiles.mode(of: $0) != nil }
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
    if count == 0 { return Finding(.ok, "journal", path) }
    let isSQLite = count == 16 && head.elementsEqual("SQLite format 3\0".utf8)
    guard let words = isSQLite ? Journal.damage(of: path) : "it is no SQLite database" else {
      return Finding(.ok, "journal", path)
    }
    return Finding(
      .warn, "journal", "\(path) is damaged: \(words)",
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

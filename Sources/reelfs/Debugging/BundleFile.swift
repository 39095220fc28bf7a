import Foundation
import Glibc
import SyncStatus

/// Writes texts as one .tar.gz, with the tar that every Linux has.
enum BundleFile {
  /// - Parameter path: nil: a new name in the working directory.
  /// - Returns: the file, which only its owner can read.
  static func write(_ files: [(name: String, text: String)], to path: String?) throws(CommandFailure) -> String {
    let stamp = Timestamp.text(WallClock.now()).filter { $0.isNumber || $0 == "T" }
    let name = "reelfs-debug-" + stamp.split(separator: "T").joined(separator: "-")
    let target = path ?? name + ".tar.gz"
    var template = Array((FileManager.default.temporaryDirectory.path + "/reelfs-debug-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw CommandFailure("no temporary folder: \(String(cString: strerror(errno)))") }
    let parent = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    defer { try? FileManager.default.removeItem(atPath: parent) }
    do {
      for file in files {
        let place = URL(filePath: "\(parent)/\(name)/\(file.name)")
        try FileManager.default.createDirectory(at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(file.text.utf8).write(to: place)
      }
    } catch {
      throw CommandFailure("cannot write below \(parent): \(error.localizedDescription)")
    }
    let before = umask(0o077)
    defer { umask(before) }
    guard Unmounting.run(["tar", "-czf", target, "-C", parent, "--", name]) == 0 else {
      throw CommandFailure("tar could not write \(target): choose another place with --output")
    }
    return target
  }
}

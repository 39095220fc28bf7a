internal import Foundation
internal import SystemPackage

// Which folder a `file:///` destination was, so that another disk under its path is not taken for it.
extension StateDirectory {
  /// nil: the folder has not been used by this mount.
  public func folderIdentity(of folder: String) -> String? {
    guard let text = try? String(contentsOfFile: folderFile, encoding: .utf8) else { return nil }
    let lines = text.split(separator: "\n", maxSplits: 1).map(String.init)
    return lines.count == 2 && lines[1] == folder ? lines[0] : nil
  }

  /// A note that cannot be written costs a check at the next start, nothing else.
  public func rememberFolderIdentity(_ identity: String, of folder: String) {
    try? "\(identity)\n\(folder)".write(toFile: folderFile, atomically: true, encoding: .utf8)
  }

  private var folderFile: String { path.appending("destination-folder").string }
}

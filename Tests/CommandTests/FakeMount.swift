import Foundation
import Glibc
import SyncStatus
import UploadProtocol
import reelfs

/// A folder that looks like a running mount: `.status/sessions.json` and `.status/control`, and the recordings' names.
final class FakeMount {
  let root: MountRoot
  let parent: String

  init(_ recordings: [RecordingStatus] = [], _ connection: DestinationState = .online) throws {
    parent = try FakeMount.temporaryFolder()
    let path = parent + "/mnt"
    root = MountRoot(path: path)
    try FileManager.default.createDirectory(atPath: path + "/.status", withIntermediateDirectories: true)
    try Data().write(to: URL(filePath: path + "/.status/control"))
    for recording in recordings {
      let file = URL(filePath: path + "/" + recording.pathText)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data().write(to: file)
    }
    try show(recordings, connection)
  }

  deinit { try? FileManager.default.removeItem(atPath: parent) }

  /// Replaces the status, as a mount does when something happened.
  func show(_ recordings: [RecordingStatus], _ connection: DestinationState = .online) throws {
    let bytes = SessionsPage.bytes(Self.overall(recordings, connection), recordings)
    try Data(bytes).write(to: URL(filePath: root.path + "/.status/sessions.json"))
  }

  var control: String {
    get throws { try String(contentsOfFile: root.path + "/.status/control", encoding: .utf8) }
  }

  var locator: MountLocator {
    let entry = MountEntry(path: root.path, type: MountTable.reelfsType, source: "reelfs")
    return MountLocator { [MountEntry(path: "/", type: "ext4", source: "disk"), entry] }
  }

  static func overall(_ recordings: [RecordingStatus], _ connection: DestinationState = .online) -> OverallStatus {
    var sum = DirectoryStatus(path: [], destination: "http://nas:8090")
    for recording in recordings { sum.add(recording) }
    return OverallStatus(time: 1_795_346_354.5, total: sum.status, counts: sum.counts, connection: connection)
  }

  static func temporaryFolder() throws -> String {
    var template = Array((FileManager.default.temporaryDirectory.path + "/reelfs-commands-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw CommandFailure("no temporary folder") }
    let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    guard let resolved = realpath(path, nil) else { throw CommandFailure("no temporary folder") }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}

func recording(
  _ path: String, _ state: SyncState, written: Int64 = 20 << 20, synced: Int64 = 9 << 20, session: Int64 = 1
) -> RecordingStatus {
  var status = RecordingStatus(state: state, path: Array(path.utf8), destination: "http://nas:8090")
  status.session = SessionID(number: session)
  status.recordings = 1
  status.bytesWritten = written
  status.bytesSynced = state == .synced ? written : synced
  status.chunksTotal = ChunkLayout.chunkCount(size: written)
  status.chunksSynced = Int(status.bytesSynced >> 20)
  return status
}

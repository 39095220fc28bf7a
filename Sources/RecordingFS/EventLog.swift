internal import Foundation
internal import Glibc
internal import Synchronization
internal import SyncStatus
public import SystemPackage

/// `.status/events.jsonl`: a file that grows by whole lines, with ids that go on over restarts. Written on the uploaders'
/// threads; readers open the file by its path.
public final class EventLog: Sendable {
  public let path: FilePath
  private let state: Mutex<State>

  private struct State {
    var descriptor: FileDescriptor
    var bytes: Int
    var lastID: Int64
  }

  /// The log is set aside as `events.jsonl.1` at this size and begun anew: some 30,000 events.
  private static let bytesMax = 4 << 20

  public init(path: FilePath) throws {
    self.path = path
    let descriptor = try Self.openLog(path)
    state = Mutex(
      State(
        descriptor: descriptor, bytes: Int(try descriptor.seek(offset: 0, from: .end)), lastID: Self.lastID(in: path)))
  }

  /// One write for a turn's events, so that a reader sees whole lines.
  /// - Parameter destination: of several the one that these are about.
  func append(_ kinds: [SyncEvent.Kind], _ destination: String?) {
    guard !kinds.isEmpty else { return }
    state.withLock { state in
      var lines: [UInt8] = []
      let now = Date().timeIntervalSince1970
      for kind in kinds {
        state.lastID += 1
        lines += EventLine.bytes(
          of: SyncEvent(id: state.lastID, time: now, kind: kind, destination: kind.isOfAll ? nil : destination))
      }
      if state.bytes + lines.count > Self.bytesMax { rotate(&state) }
      // A full disk costs lines of this log, never an upload.
      state.bytes += (try? state.descriptor.writeAll(lines)) ?? 0
    }
  }

  private func rotate(_ state: inout State) {
    rename(path.string, path.string + ".1")
    guard let fresh = try? Self.openLog(path) else { return }
    try? state.descriptor.close()
    state.descriptor = fresh
    state.bytes = 0
  }

  private static func openLog(_ path: FilePath) throws -> FileDescriptor {
    try FileDescriptor.open(
      path, .readWrite, options: [.append, .create, .closeOnExec], permissions: [.ownerReadWrite])
  }

  /// The id of the last whole line, also of the set-aside log when the new one has none yet.
  private static func lastID(in path: FilePath) -> Int64 {
    for name in [path.string, path.string + ".1"] {
      guard let file = FileHandle(forReadingAtPath: name) else { continue }
      defer { try? file.close() }
      let end = (try? file.seekToEnd()) ?? 0
      // No line is longer: an error message is bounded by what a server may answer.
      try? file.seek(toOffset: end > 65_536 ? end - 65_536 : 0)
      let tail = (try? file.readToEnd()) ?? Data()
      for line in tail.split(separator: UInt8(ascii: "\n")).reversed() {
        if let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any], let id = object["id"] as? Int64 {
          return id
        }
      }
    }
    return 0
  }
}

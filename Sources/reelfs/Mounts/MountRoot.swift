import Glibc
package import SyncStatus
import UploadProtocol

/// A running mount, as the commands see it: its root folder with `.status` in it. Tests give it any folder.
package struct MountRoot: Sendable, Equatable {
  /// Absolute, without a slash at the end.
  package let path: String

  package init(path: String) { self.path = path }

  /// 100,000 recordings take about 60 MB; more than this is not read into memory.
  private static let sessionsBytesMax = 512 << 20

  /// The bytes of `.status/sessions.json`.
  package func sessionsJSON() throws(CommandFailure) -> [UInt8] {
    do throws(SystemFailure) {
      return try SystemFiles.read(path + "/.status/sessions.json", bytesMax: Self.sessionsBytesMax)
    } catch {
      throw unreachable(error)
    }
  }

  package func snapshot() throws(CommandFailure) -> StatusSnapshot {
    try StatusSnapshot(json: try sessionsJSON())
  }

  /// Hands `request` to the mount in one write.
  package func send(_ request: ControlRequest) throws(CommandFailure) {
    guard let line = ControlText.line(request) else {
      throw CommandFailure(
        "this name cannot stand in a command line: use its session id (getfattr -n user.sync.session)")
    }
    do throws(SystemFailure) {
      try SystemFiles.writeOnce(path + "/.status/control", line + [UInt8(ascii: "\n")])
    } catch {
      switch error.number {
      case EINVAL: throw CommandFailure("the mount at \(path) refused \"\(String(decoding: line, as: UTF8.self))\"")
      case ENOENT where hasStatus: throw CommandFailure("the mount at \(path) knows no such recording")
      case EACCES, EPERM: throw CommandFailure("not allowed: only the user who mounted \(path), and root, may do this")
      default: throw unreachable(error)
      }
    }
  }

  private var hasStatus: Bool { SystemFiles.isDirectory(path + "/.status") }

  private func unreachable(_ failure: SystemFailure) -> CommandFailure {
    switch failure.number {
    case ENOTCONN: CommandFailure("the mount at \(path) is dead: run reelfs unmount \(path), then mount again")
    case ENOENT: CommandFailure("\(path) has no .status: is reelfs still mounted there?")
    case EACCES: CommandFailure("no access to \(path): it was mounted by another user, without -o allow_other")
    default: CommandFailure("cannot ask the mount: \(failure)")
    }
  }
}

/// Finds the running mounts. Tests inject the table.
package struct MountLocator: Sendable {
  private let table: @Sendable () throws -> [MountEntry]

  package init(table: @escaping @Sendable () throws -> [MountEntry]) { self.table = table }

  static let system = MountLocator(table: { try MountTable.current() })

  /// Every reelfs mount, in the order in which they were mounted, each place once.
  package func all() throws -> [MountRoot] {
    var roots: [MountRoot] = []
    for entry in try table() where entry.type == MountTable.reelfsType {
      let root = MountRoot(path: entry.path)
      if !roots.contains(root) { roots.append(root) }
    }
    return roots
  }

  /// What a PATH, MOUNTPOINT or session id on the command line means; nothing given means every mount.
  package func places(for argument: String?) throws -> [MountPlace] {
    guard let argument else {
      let roots = try all()
      guard !roots.isEmpty else { throw CommandFailure("no reelfs mount is running (reelfs mount MOUNTPOINT)") }
      return roots.map { MountPlace(root: $0, target: .all) }
    }
    if let session = SessionID(text: argument), SystemFiles.mode(of: argument) == nil {
      return [try onlyMount(for: session)]
    }
    return [try place(of: argument)]
  }

  private func onlyMount(for session: SessionID) throws -> MountPlace {
    let roots = try all()
    guard let root = roots.first, roots.count == 1 else {
      throw CommandFailure(
        roots.isEmpty
          ? "no reelfs mount is running (reelfs mount MOUNTPOINT)"
          : "several mounts are running: name the recording by its path instead of \(session)")
    }
    return MountPlace(root: root, target: .session(session))
  }

  private func place(of argument: String) throws -> MountPlace {
    let path: String
    do throws(SystemFailure) {
      path = try SystemFiles.absolute(argument)
    } catch {
      // A dead mount cannot be resolved, but can still be named.
      let dead = try table().last { $0.type == MountTable.reelfsType && $0.path == argument.withoutTrailingSlash }
      guard let dead, error.number == ENOTCONN else { throw CommandFailure(error.description) }
      return MountPlace(root: MountRoot(path: dead.path), target: .all)
    }
    guard let entry = MountTable.entry(for: path, in: try table()), entry.type == MountTable.reelfsType else {
      throw CommandFailure("\(argument) is not in a reelfs mount; reelfs status shows the mounts that are running")
    }
    let below = path.utf8.dropFirst(entry.path.utf8.count).drop { $0 == UInt8(ascii: "/") }
    return MountPlace(
      root: MountRoot(path: entry.path), target: below.isEmpty ? .all : .path(Array(below)), file: path)
  }
}

/// A mount, and what in it is meant.
package struct MountPlace: Sendable, Equatable {
  package let root: MountRoot
  package let target: ControlTarget
  /// Absolute path of the file or folder meant; nil when only a session id is known, or the whole mount is meant.
  package let file: String?

  package init(root: MountRoot, target: ControlTarget, file: String? = nil) {
    self.root = root
    self.target = target
    self.file = target == .all ? nil : file
  }
}

extension String {
  var withoutTrailingSlash: String {
    var text = self
    while text.count > 1, text.last == "/" { text.removeLast() }
    return text
  }
}

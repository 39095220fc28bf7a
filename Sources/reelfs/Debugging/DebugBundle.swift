import Foundation
import Spool
import SyncStatus
import UploadCore

/// What `reelfs debug-bundle` packs, as named texts. A part that cannot be had says why: that is what is looked for.
struct DebugBundle {
  let mounts: [MountRoot]
  /// Also looked into without a mount; nil: the usual place.
  let stateDirectory: String?
  let includesNames: Bool

  /// The last lines of the event log, and of the system's log.
  private static let eventBytesMax = 256 << 10
  private static let logLines = "2000"

  func files() -> [(name: String, text: String)] {
    let parts = mounts.map { MountParts($0) }
    let redaction = Redaction(secrets: secrets(parts), names: includesNames ? nil : parts.flatMap(\.names))
    var files: [(name: String, text: String)] = [
      ("README.txt", Self.readme(includesNames)), ("versions.txt", SystemFacts.versions()), ("mountinfo.txt", SystemFacts.mounts()),
      ("environment.txt", SettingsFacts.environment()), ("config.yaml", SettingsFacts.configFile()), ("doctor.txt", doctor()),
    ]
    for (index, part) in parts.enumerated() {
      let folder = "mount-\(index + 1)/"
      files += part.files(redaction).map { (folder + $0.name, $0.text) }
    }
    if parts.isEmpty { files.append(("journals.txt", journals())) }
    let log = SystemFacts.log(lines: Self.logLines)
    files.append(("log.txt", redaction.knowsAllNames ? Self.withoutNames(log, includesNames) : Self.tooManyNames))
    return files.map { ($0.name, redaction.text($0.text)) }
  }

  static let tooManyNames = "left out: too many names to take out; --include-names brings it\n"

  private static func readme(_ includesNames: Bool) -> String {
    """
    Made by reelfs debug-bundle on \(Timestamp.text(WallClock.now())).
    Contents of token files, keys and whatever looks like one were replaced by "(removed)"; of the settings only those are
    shown that cannot hold a secret. Names of recordings \(includesNames ? "are as they are" : "were replaced by name-NUMBER").

    """
  }

  /// Recordings that were renamed or deleted since are in the log by names that no status knows any more: only lines are
  /// kept that begin like sentences without one.
  static func withoutNames(_ log: String, _ includesNames: Bool) -> String {
    guard !includesNames else { return log }
    let kept = [
      "recording folder ", "receiving on ", "unmounted. ", "the worker ", "the receiver ", "the journal ", "the uploader ", "connection ",
      "⏸ ", "uploads go on", "this kernel ", "going on with ", "detach", "recovered ", "reelfs: ",
    ]
    let lines = log.split(separator: "\n", omittingEmptySubsequences: false).map { line -> Substring in
      guard let start = line.range(of: "]: "), !line[..<start.lowerBound].contains(" systemd[") else { return line }
      let message = line[start.upperBound...]
      return kept.contains { message.hasPrefix($0) } ? line : line[..<start.upperBound] + "(left out: it may name a recording)"
    }
    return lines.joined(separator: "\n")
  }

  private func doctor() -> String {
    let usual = StateLocation.base(Environment.variables(StateLocation.variables))
    var findings = (try? Doctor(stateDirectory: stateDirectory ?? usual).findings()) ?? []
    for mount in mounts {
      guard let record = try? mount.record() else { continue }
      var doctor = Doctor(stateDirectory: usual)
      doctor.take(record)
      do { findings += try doctor.findings().filter { !findings.contains($0) } } catch {
        findings.append(Finding(.warn, "destination", "not checked: \(error)"))
      }
    }
    return findings.map { $0.lines() + "\n" }.joined()
  }

  private func journals() -> String {
    let folder = stateDirectory ?? StateLocation.base(Environment.variables(StateLocation.variables))
    let found = StorageChecks.journalPaths(folder)
    return found.isEmpty ? "none below \(folder)\n" : found.map { "\($0)\n\(MountParts.statistics($0))\n" }.joined()
  }

  private func secrets(_ parts: [MountParts]) -> [String] {
    let files = parts.compactMap { $0.record?.tokenFile } + SettingsFacts.tokenFiles()
    let tokens = files.compactMap { try? TokenFile.read($0) }
    let keys = Environment.variables(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]).values
    return tokens + keys
  }

  /// One running mount, asked once.
  private struct MountParts {
    let root: MountRoot
    let record: MountRecord?
    let snapshot: Result<StatusSnapshot, CommandFailure>

    init(_ root: MountRoot) {
      self.root = root
      record = try? root.record()
      do throws(CommandFailure) { snapshot = .success(try root.snapshot()) } catch { snapshot = .failure(error) }
    }

    var names: [[UInt8]] { ((try? snapshot.get())?.recordings ?? []).map(\.path) }

    func files(_ redaction: Redaction) -> [(name: String, text: String)] {
      var files = [("record.json", status("mount.json", Int.max)), ("metrics.txt", status("metrics", Int.max))]
      switch snapshot {
      case .failure(let error): files.append(("sessions.json", error.message + "\n"))
      case .success(let snapshot): files.append(("sessions.json", Self.sessions(snapshot, redaction)))
      }
      // Errors in it may name recordings.
      let hasFreeText = redaction.knowsAllNames
      files.append(("summary.txt", hasFreeText ? status("summary", Int.max) : DebugBundle.tooManyNames))
      files.append(("events.jsonl", hasFreeText ? status("events.jsonl", DebugBundle.eventBytesMax) : DebugBundle.tooManyNames))
      guard let state = record?.stateDirectory else { return files }
      files.append(("journal.txt", Self.statistics(state + "/journal.sqlite")))
      files.append(("space.txt", SystemFacts.space(state)))
      return files
    }

    /// - Parameter bytesMax: from the end, whole lines.
    private func status(_ name: String, _ bytesMax: Int) -> String {
      do throws(SystemFailure) {
        let bytes = try SystemFiles.read(root.path + "/.status/" + name, bytesMax: 64 << 20)
        guard bytes.count > bytesMax else { return String(decoding: bytes, as: UTF8.self) }
        return String(decoding: bytes.suffix(bytesMax).drop { $0 != UInt8(ascii: "\n") }.dropFirst(), as: UTF8.self)
      } catch {
        return "cannot be read: \(error)\n"
      }
    }

    private static func sessions(_ snapshot: StatusSnapshot, _ redaction: Redaction) -> String {
      let recordings = snapshot.recordings.map { recording in
        var recording = recording
        recording.path = redaction.alias(of: recording.path).map { Array($0.utf8) } ?? recording.path
        return recording
      }
      return String(decoding: SessionsPage.bytes(snapshot.overall, recordings), as: UTF8.self)
    }

    static func statistics(_ path: String) -> String {
      do throws(JournalError) {
        return try Journal(reading: path).statistics().figures.map { "\($0.name): \($0.value)\n" }.joined()
      } catch {
        return "cannot be read: \(error.message)\n"
      }
    }
  }
}

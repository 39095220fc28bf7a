import ArgumentParser
import Spool
import SyncStatus
import UploadCore

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Tell how uploads went: failures, retries, slow hours, recordings with trouble.",
    discussion: """
      Drawn from the journal, so it works without a running mount too. The journal keeps sums by the hour for 90 days, and \
      the last 8 failures of a recording. Hours are UTC. Probes of a destination that is away are not counted.

      Examples:
        reelfs report                              every running mount, the last 7 days
        reelfs report ~/Recordings --since 24h
        reelfs report ~/.local/state/reelfs/home-me-Recordings/state --json | jq .endings
      """)

  @Argument(
    help: ArgumentHelp(
      "The root of a running mount, or the state directory of any. Left out: every running mount.", valueName: "mountpoint"),
    completion: .directory)
  var place: String?

  @Option(
    help: ArgumentHelp("How far to look back, for example 24h or 30d.", valueName: "time"), transform: TimeLimit.seconds)
  var since = 7 * 86_400.0

  @Flag(help: "Print JSON (docs/SEMANTICS.md has the fields).")
  var json = false

  /// A journal that knows more recordings with trouble than this has one trouble.
  private static let troublesMax = 10

  func run() throws {
    for (title, state) in try journals() {
      let report = try report(title, state)
      Terminal.write(json ? String(decoding: report.json, as: UTF8.self) : report.text, to: 1)
    }
  }

  /// What to call each journal, and its state directory.
  private func journals() throws -> [(String, String)] {
    if let place, SystemFiles.mode(of: place + "/journal.sqlite") != nil { return [(place, place)] }
    return try MountLocator.system.places(for: place).map { ($0.root.path, try $0.root.record().stateDirectory) }
  }

  private func report(_ title: String, _ state: String) throws -> UploadReport {
    let now = WallClock.now()
    let from = max(0, now - since)
    do throws(JournalError) {
      let journal = try Journal(reading: state + "/journal.sqlite")
      return UploadReport(
        title: title, from: from, to: now, hours: try journal.attemptHours(since: from).map(UploadReport.Hour.init),
        troubles: try journal.attemptTroubles(since: from, max: Self.troublesMax).map(UploadReport.Trouble.init))
    } catch {
      throw CommandFailure("\(state)/journal.sqlite cannot be read: \(error.message)")
    }
  }
}

extension UploadReport.Hour {
  init(_ row: AttemptHour) {
    self.init(
      hour: row.hour, ending: row.ending.rawValue, isFailure: row.ending.isFailure, attempts: row.attempts,
      retries: row.retries, chunks: row.chunks, bytes: row.bytes, milliseconds: row.milliseconds)
  }
}

extension UploadReport.Trouble {
  init(_ row: AttemptTrouble) {
    self.init(
      path: row.path, session: row.session, state: row.refusal != nil ? "failed" : row.isSynced ? "synced" : "pending",
      attempts: row.attempts, failures: row.failures, inARowMax: row.inARowMax, lastAt: row.lastAt,
      lastEnding: row.lastEnding?.rawValue ?? "", lastMessage: row.lastMessage)
  }
}

import ArgumentParser
import SyncStatus

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show what is safe and what is still on its way.",
    discussion: """
      Exit codes: 0 all synced, 3 something is pending, 4 something failed or is paused, 1 anything else.

      Examples:
        reelfs status                         every running mount
        reelfs status ~/Recordings/take1.mkv  one recording
        reelfs status ~/Recordings --watch    live; p pause, r resume, t retry, arrows choose one, q quit
        reelfs status --json | jq .           for programs
        reelfs status ~/Recordings >/dev/null && echo "may be unplugged"
      """)

  @OptionGroup var target: TargetArgument

  @Flag(help: "Print JSON (docs/SEMANTICS.md has the fields).")
  var json = false

  @Flag(help: "Redraw every second until you quit; not on a terminal: a line a second until all is synced.")
  var watch = false

  func validate() throws {
    if json && watch { throw ValidationError("--json and --watch exclude each other: run --json as often as you like") }
  }

  func run() throws {
    let pulses = MountPulse.of(try target.places(), at: \.root.path)
    let (places, silent) = (pulses.filter { $0.1 != .silent }.map(\.0), pulses.filter { $0.1 == .silent }.map(\.0.root.path))
    let failure = CommandFailure(
      "\(silent.joined(separator: ", ")) does not answer: its processes are stopped, or wait for a disk (reelfs doctor)")
    if places.isEmpty { throw failure }
    let exit = try watch ? StatusWatch(places: places).run() : show(places)
    // Who asks whether all is safe must not hear yes.
    if !silent.isEmpty { throw failure }
    throw exit.code
  }

  private func show(_ places: [MountPlace]) throws -> ReelfsExit {
    let report = try StatusReport(places: places)
    if json {
      Terminal.write(report.json(isList: target.path == nil), to: 1)
    } else {
      Terminal.write(report.table(Terminal.current()), to: 1)
    }
    return report.exit
  }
}

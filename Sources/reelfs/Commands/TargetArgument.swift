import ArgumentParser
import SyncStatus

/// `[PATH | MOUNTPOINT]`, shared by the commands that talk to a running mount.
struct TargetArgument: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "A recording, a folder in a mount, a mount's root, or a session id. Left out: every running mount.",
      valueName: "path"),
    completion: .file())
  var path: String?

  func places() throws -> [MountPlace] { try MountLocator.system.places(for: path) }
}

/// A time limit such as `90`, `15m` or `2h`.
struct TimeLimit: ExpressibleByArgument {
  let seconds: Double

  init?(argument: String) {
    guard let seconds = try? DurationText.parse(argument) else { return nil }
    self.seconds = seconds
  }
}

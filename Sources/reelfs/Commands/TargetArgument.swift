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

/// A time limit such as `90`, `15m` or `2h`, in seconds.
enum TimeLimit {
  @Sendable static func seconds(_ text: String) throws -> Double {
    do throws(TextError) { return try DurationText.parse(text) } catch { throw ValidationError(error.message) }
  }
}

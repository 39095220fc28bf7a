import ArgumentParser

/// The program. Each subcommand has a file of its own.
@main
struct ReelfsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reelfs",
    abstract: "A recording folder that uploads itself.",
    discussion: """
      Point any recorder at the mount: what is written there is on its way while the recorder still writes, and what \
      is safe can be read at any moment.

      Exit codes: 0 all synced, 1 wrong usage or an error of this machine, 3 something is pending, 4 something failed \
      or is paused.
      """,
    version: ReelfsVersion.text,
    subcommands: [
      MountCommand.self, WorkerCommand.self, PageServerCommand.self,
      StatusCommand.self, FlushCommand.self, PauseCommand.self, ResumeCommand.self, RetryCommand.self,
      PriorityCommand.self, LimitCommand.self, EvictCommand.self, VerifyCommand.self, ReportCommand.self,
      RestartCommand.self, UnmountCommand.self, WebCommand.self, DoctorCommand.self, DebugBundleCommand.self,
      ReceiveCommand.self
    ])

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      ReelfsExit.end(with: error)
    }
  }
}

enum ReelfsVersion {
  static let text = "0.1.0"
}

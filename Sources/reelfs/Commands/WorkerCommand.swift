import ArgumentParser
import Glibc
import Synchronization

/// What the supervisor starts: serves the mount whose descriptor it inherits. Not for people.
struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "worker", shouldDisplay: false)

  @OptionGroup var options: MountOptions

  @Option(help: .hidden) var receiverPort: Int?

  func run() throws {
    Terminal.isShared.store(true, ordering: .relaxed)
    Glibc.exit(try WorkerProcess(options.configuration(), receiverPort: receiverPort).serve())
  }
}

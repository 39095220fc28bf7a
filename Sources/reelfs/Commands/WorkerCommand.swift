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
    let options = options
    let worker = WorkerProcess(
      try options.configurationOfWorker(), receiverPort: receiverPort, readAgain: { () throws(CommandFailure) in try options.configuration() })
    Glibc.exit(try worker.serve())
  }
}

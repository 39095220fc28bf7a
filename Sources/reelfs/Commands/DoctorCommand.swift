import ArgumentParser
import SyncStatus

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Find out what is wrong, and how to mend it.",
    discussion: """
      Checks /dev/fuse, fusermount3, the kernel, dead mounts, the state directory and its journal and, when given, \
      the destination, its token and the clock. Changes nothing. Exit code 0: nothing is in the way; 1: something must be mended.

      Examples:
        reelfs doctor
        reelfs doctor http://nas:8090 --token-file ~/.config/reelfs/token
      """)

  @Argument(help: ArgumentHelp("http(s)://host:port of a receiver.", valueName: "destination"))
  var destination: String?

  @Option(help: ArgumentHelp("The state directory to check.", valueName: "folder"), completion: .directory)
  var stateDir: String?

  @Option(help: ArgumentHelp("The file with the destination's token.", valueName: "file"), completion: .file())
  var tokenFile: String?

  func run() throws {
    var findings = MachineChecks.all()
    let environment = Environment.variables(StateLocation.variables + ["REELFS_STATE_DIR"])
    let folder = stateDir ?? environment["REELFS_STATE_DIR"] ?? StateLocation.base(environment)
    findings += StorageChecks.stateDirectory(folder)
    findings += StorageChecks.journals(folder)
    if let tokenFile { findings.append(StorageChecks.tokenFile(tokenFile)) }
    if let destination {
      let address: ReceiverAddress
      do throws(TextError) { address = try ReceiverAddress(destination) } catch {
        throw CommandFailure(error.message + "; doctor can check receivers only")
      }
      findings += DestinationChecks.all(address, token: tokenFile.flatMap { try? TokenFile.read($0) })
    }
    for finding in findings { Terminal.say(finding.lines()) }
    if findings.contains(where: { $0.level == .bad }) { throw ReelfsExit.usageOrInternal.code }
  }
}

import ArgumentParser
import Foundation
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
        reelfs doctor s3://bucket/prefix --s3-endpoint https://s3.example.org
      """)

  @Argument(help: ArgumentHelp("http(s)://host:port of a receiver, or s3://bucket/prefix.", valueName: "destination"))
  var destination: String?

  @Option(help: ArgumentHelp("The state directory to check.", valueName: "folder"), completion: .directory)
  var stateDir: String?

  @Option(help: ArgumentHelp("The file with the destination's token.", valueName: "file"), completion: .file())
  var tokenFile: String?

  @Option(name: .customLong("s3-endpoint"), help: ArgumentHelp("For s3:// other than Amazon's.", valueName: "address"))
  var s3Endpoint: String?

  func run() throws {
    var findings = MachineChecks.all()
    let environment = Environment.variables(StateLocation.variables + ["REELFS_STATE_DIR"])
    let folder = stateDir ?? environment["REELFS_STATE_DIR"] ?? StateLocation.base(environment)
    findings += StorageChecks.stateDirectory(folder)
    findings += StorageChecks.journals(folder)
    if let tokenFile { findings.append(StorageChecks.tokenFile(tokenFile)) }
    if let destination { findings += try checks(of: destination) }
    for finding in findings { Terminal.say(finding.lines()) }
    if findings.contains(where: { $0.level == .bad }) { throw ReelfsExit.usageOrInternal.code }
  }

  private func checks(of text: String) throws -> [Finding] {
    let destination: Destination
    do throws(TextError) { destination = try Destination(text, s3Endpoint: nil) } catch { throw CommandFailure(error.message) }
    switch destination {
    case .receiver(let address):
      return DestinationChecks.all(address, token: tokenFile.flatMap { try? TokenFile.read($0) })
    case .s3(let bucket, let prefix, _):
      return S3Checks.all(
        bucket: bucket, prefix: prefix, endpoint: s3Endpoint, environment: ProcessInfo.processInfo.environment)
    case .tus, .folder, .embedded: throw CommandFailure("\(text): doctor can check receivers and S3 stores only")
    }
  }
}

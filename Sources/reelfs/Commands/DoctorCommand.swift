import ArgumentParser
import Foundation
import SyncStatus

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Find out what is wrong, and how to mend it.",
    discussion: """
      Checks /dev/fuse, fusermount3, the kernel, dead mounts, the state directory and its journal and, when given, \
      the destination, its token and the clock, and what lies unfinished there. Changes nothing without --clean. Exit code 0: nothing is in the way; 1: something must be mended.

      Examples:
        reelfs doctor
        reelfs doctor http://nas:8090 --token-file ~/.config/reelfs/token
        reelfs doctor s3://bucket/prefix --s3-endpoint https://s3.example.org
        reelfs doctor s3://bucket/prefix --clean
      """)

  @Argument(help: ArgumentHelp("http(s)://host:port of a receiver, tus+http(s)://host/files/, s3://bucket/prefix, or file:///folder.", valueName: "destination"))
  var destination: String?

  @Option(help: ArgumentHelp("The state directory to check.", valueName: "folder"), completion: .directory)
  var stateDir: String?

  @Option(help: ArgumentHelp("The file with the destination's token.", valueName: "file"), completion: .file())
  var tokenFile: String?

  @Option(name: .customLong("s3-endpoint"), help: ArgumentHelp("For s3:// other than Amazon's.", valueName: "address"))
  var s3Endpoint: String?

  @Flag(help: "Ends uploads at the destination that were begun there and are orphaned: see docs/PROTOCOL.md.")
  var clean = false

  @Option(help: ArgumentHelp("Unfinished uploads count as orphaned after so long without news. Default: 7d.", valueName: "time"))
  var olderThan: String?

  func run() throws {
    if clean, destination == nil { throw CommandFailure("--clean: name the destination to clean") }
    var findings = MachineChecks.all()
    let environment = Environment.variables(StateLocation.variables + ["REELFS_STATE_DIR"])
    let folder = stateDir ?? environment["REELFS_STATE_DIR"] ?? StateLocation.base(environment)
    findings += StorageChecks.stateDirectory(folder)
    findings += StorageChecks.journals(folder)
    if let tokenFile { findings.append(StorageChecks.tokenFile(tokenFile)) }
    if let destination { findings += try checks(of: destination, folder: folder) }
    for finding in findings { Terminal.say(finding.lines()) }
    if findings.contains(where: { $0.level == .bad }) { throw ReelfsExit.usageOrInternal.code }
  }

  private func checks(of text: String, folder: String) throws -> [Finding] {
    let destination: Destination
    do throws(TextError) { destination = try Destination(text, s3Endpoint: nil) } catch { throw CommandFailure(error.message) }
    let age: Double
    do throws(TextError) { age = try olderThan.map(DurationText.parse) ?? Leftover.usualAge } catch {
      throw CommandFailure("--older-than: \(error.message)")
    }
    switch destination {
    case .receiver where clean, .folder where clean:
      throw CommandFailure("--clean: nothing is left over at \(text) that does not go by itself; it is for s3:// and tus+http://")
    case .receiver(let address):
      return DestinationChecks.all(address, token: tokenFile.flatMap { try? TokenFile.read($0) })
    case .s3(let bucket, let prefix, _):
      return try S3Checks.all(
        bucket: bucket, prefix: prefix, endpoint: s3Endpoint, environment: ProcessInfo.processInfo.environment
      ) { store in
        try S3Leftovers.findings(of: store, journals: try JournalsOfThisMachine.paths(below: folder), age: age, ends: clean)
      }
    case .tus(let address):
      return try TusChecks.all(
        address, token: tokenFile.flatMap { try? TokenFile.read($0) }, journals: { try JournalsOfThisMachine.paths(below: folder) },
        ends: clean)
    case .folder(let path): return FolderChecks.all(path)
    // A destination that is named is never this one.
    case .embedded: return []
    }
  }
}

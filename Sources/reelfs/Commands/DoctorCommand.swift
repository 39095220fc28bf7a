import ArgumentParser
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
        reelfs doctor ~/Recordings
        reelfs doctor http://nas:8090 --token-file ~/.config/reelfs/token
        reelfs doctor s3://bucket/prefix --s3-endpoint https://s3.example.org
        reelfs doctor s3://bucket/prefix --clean
      """)

  @Argument(
    help: ArgumentHelp(
      "http(s)://host:port of a receiver, tus+http(s)://host/files/, s3://bucket/prefix, or file:///folder; or a running mount, whose own destination, token and state directory are checked then.",
      valueName: "destination | mountpoint"),
    completion: .directory)
  var destination: String?

  @Option(help: ArgumentHelp("The state directory to check.", valueName: "folder"), completion: .directory)
  var stateDir: String?

  @Option(help: ArgumentHelp("The file with the destination's token.", valueName: "file"), completion: .file())
  var tokenFile: String?

  @Option(help: ArgumentHelp("Authorities to trust instead of the system's (PEM).", valueName: "file"), completion: .file())
  var caFile: String?

  @Option(name: .customLong("s3-endpoint"), help: ArgumentHelp("For s3:// other than Amazon's.", valueName: "address"))
  var s3Endpoint: String?

  @Flag(help: "Ends uploads at the destination that were begun there and are orphaned: see docs/PROTOCOL.md.")
  var clean = false

  @Option(help: ArgumentHelp("Unfinished uploads count as orphaned after so long without news. Default: 7d.", valueName: "time"))
  var olderThan: String?

  func run() throws {
    if clean, destination == nil { throw CommandFailure("--clean: name the destination to clean") }
    let environment = Environment.variables(StateLocation.variables + ["REELFS_STATE_DIR"])
    var doctor = Doctor(
      stateDirectory: stateDir ?? environment["REELFS_STATE_DIR"] ?? StateLocation.base(environment), destination: destination,
      tokenFile: tokenFile, caFile: caFile, s3Endpoint: s3Endpoint)
    doctor.cleans = clean
    do throws(TextError) { if let olderThan { doctor.orphanedAfter = try DurationText.parse(olderThan) } } catch {
      throw CommandFailure("--older-than: \(error.message)")
    }
    if let destination, !destination.contains(":") { try doctor.take(runningMount: destination) }
    let findings = try doctor.findings()
    for finding in findings { Terminal.say(finding.lines()) }
    if findings.contains(where: { $0.level == .bad }) { throw ReelfsExit.usageOrInternal.code }
  }
}

import ArgumentParser
import Spool
import SyncStatus
import UploadCore
import UploadProtocol

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Ask the destination whether it holds exactly what was recorded.",
    discussion: """
      Reads every chunk here again, asks the destination what it has of it, and compares; of a finished recording also its \
      size and the chain of all digests in the destination's manifest. With --deep the destination reads its stored bytes \
      again before it answers. Chunks that were evicted here are compared by the digest of their receipt, and counted. \
      Changes nothing; a recording that is being written is verified as far as it is stored.

      Of several destinations each that can be asked is.

      Without a running mount name the state directory and the destination; PATH is then a path below the mount point, or \
      a session id.

      Exit codes: 0 all verified, 3 something is not synced yet, 4 the destination lacks something or has it otherwise, \
      1 it could not be found out.

      Examples:
        reelfs verify ~/Recordings/take1.mkv --deep
        reelfs verify --json | jq .
        reelfs verify --state-dir /srv/state --destination http://nas:8090 --token-file token
      """)

  @OptionGroup var target: TargetArgument

  @Flag(help: "Let the destination read its stored bytes again.")
  var deep = false

  @Flag(help: "Print JSON.")
  var json = false

  @Option(help: ArgumentHelp("The state directory of a mount that need not run.", valueName: "folder"), completion: .directory)
  var stateDir: String?

  @Option(help: ArgumentHelp("http(s)://host:port of a receiver; default: the mount's own.", valueName: "destination"))
  var destination: String?

  @Option(
    help: ArgumentHelp("The file with the destination's token; default: the mount's own.", valueName: "file"),
    completion: .file())
  var tokenFile: String?

  @Option(
    help: ArgumentHelp("Authorities that may have signed the destination's certificate (PEM).", valueName: "file"),
    completion: .file())
  var caFile: String?

  func validate() throws {
    if stateDir != nil, destination == nil {
      throw ValidationError("--state-dir needs --destination: which receiver should hold these recordings?")
    }
  }

  func run() throws {
    let depth = deep ? ListingDepth.bytes : .catalog
    var document = JSONText()
    document.beginObject()
    document.add("schema_version", 1)
    document.beginArray("places")
    var worst = RecordingVerdict.Outcome.verified
    let places = try places()
    for place in places {
      // The only one is asked, and says why it cannot be; of several the others are worth asking.
      if places.count > 1, !place.canBeAsked {
        Terminal.complain("\(place.title): \(place.destination) cannot be asked: verify can ask receivers only (http:// and https://)")
        continue
      }
      var report = VerifyReport(
        title: place.title, destination: place.destination, depth: depth, time: WallClock.now())
      report.failure = try place.verify(depth) { verdict in
        report.add(verdict, keepsJSON: json)
        if !json { VerifyReport.lines(verdict).forEach(Terminal.say) }
      }
      worst = max(worst, report.outcome)
      report.write(to: &document)
      if !json { Terminal.say(report.summary) }
    }
    document.endArray()
    document.endObject()
    document.newline()
    if json { Terminal.write(String(decoding: document.bytes, as: UTF8.self), to: 1) }
    throw ReelfsExit(for: worst).code
  }

  private func places() throws -> [VerifyPlace] {
    guard let stateDir, let destination else { return try target.places().flatMap(running) }
    let place: ControlTarget =
      if let path = target.path {
        SessionID(text: path).map { .session($0) } ?? .path(Array(path.utf8.drop { $0 == UInt8(ascii: "/") }))
      } else { .all }
    return [
      VerifyPlace(
        title: target.path ?? stateDir, stateDirectory: stateDir, destination: destination, device: "verify",
        token: try tokenFile.map(TokenFile.read), caFile: caFile, target: place)
    ]
  }

  /// One for each destination of the mount.
  private func running(_ place: MountPlace) throws -> [VerifyPlace] {
    let record = try place.root.record()
    func verifying(_ destination: String, _ recorded: String?) throws -> VerifyPlace {
      VerifyPlace(
        title: place.title, stateDirectory: record.stateDirectory, destination: destination, device: record.device,
        token: try (tokenFile ?? recorded).map(TokenFile.read), caFile: caFile ?? record.caFile, target: place.target)
    }
    let also = record.also ?? []
    if let destination {
      return [try verifying(destination, also.first { $0.destination == destination }?.tokenFile ?? record.tokenFile)]
    }
    return try [verifying(record.destination, record.tokenFile)] + also.map { try verifying($0.destination, $0.tokenFile) }
  }
}

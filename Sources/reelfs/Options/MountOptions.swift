import ArgumentParser
import Glibc

/// The flags of `reelfs mount`. All are kept as text here: flag, variable and config file are checked in one place,
/// `MountConfigurationReader`.
package struct MountOptions: ParsableArguments {
  package init() {}

  @Argument(
    help: ArgumentHelp(
      "Where recordings go (left out: a receiver in this program), and the folder to mount on.",
      valueName: "[destination] mountpoint"))
  var places: [String]

  @Option(
    help: ArgumentHelp(
      "Where recordings go as well; may be repeated. With a token of its own: address#token-file=path.",
      valueName: "destination"))
  var also: [String] = []

  @Option(help: ArgumentHelp("Spool and journal. Default: a folder below ~/.local/state/reelfs.", valueName: "folder"))
  var stateDir: String?

  @Option(help: ArgumentHelp("Default: $XDG_CONFIG_HOME/reelfs/config.yaml, if it is there.", valueName: "file"))
  var config: String?

  @Option(help: ArgumentHelp("An attempt that moves no byte for so long is cancelled; sooner where answers come quickly. Default: 60.", valueName: "time"))
  var uploadTimeout: String?

  @Option(help: ArgumentHelp("First delay after a failure. Default: 2.", valueName: "time"))
  var retryInitial: String?

  @Option(help: ArgumentHelp("Longest delay after failures. Default: 60.", valueName: "time"))
  var retryMax: String?

  @Option(help: ArgumentHelp("After so many the delay is always the longest. Default: 10.", valueName: "count"))
  var maxConsecutiveFailures: String?

  @Option(help: ArgumentHelp("Between two looks while offline. Default: 5.", valueName: "time"))
  var connectionCheckInterval: String?

  @Option(help: ArgumentHelp("Only 1MiB so far.", valueName: "size"))
  var chunkSize: String?

  @Option(help: ArgumentHelp("Transfers at once to each destination at most, 1 to 64; fewer where more bring nothing. Default: 4.", valueName: "count"))
  var parallel: String?

  @Option(help: ArgumentHelp("Bytes a second over all transfers, such as 2M; several destinations share it equally. Default: off.", valueName: "rate"))
  var limit: String?

  @Option(
    help: ArgumentHelp(
      "The limit by local time, such as \"08:00,2M 18:00,off\" or \"Mon-08:00,512K Fri-20:00,off\". Default: none.",
      valueName: "schedule"))
  var limitSchedule: String?

  @Option(
    help: ArgumentHelp(
      "Send in rounds that begin so long after each other, such as 15m, instead of continuously. Default: off.",
      valueName: "time"))
  var syncEvery: String?

  @Flag(help: "Do not upload while NetworkManager says that the connection is metered.")
  var pauseOnMetered = false

  @Option(
    help: ArgumentHelp(
      "Run when a recording is synced: program and arguments, no shell. {path}, {file}, {session} … are put in.",
      valueName: "command"))
  var onSynced: String?

  @Option(help: ArgumentHelp("The same when a recording failed; {error} says why.", valueName: "command"))
  var onFailed: String?

  @Option(
    name: .customLong("heartbeat-url"),
    help: ArgumentHelp(
      "Asked for every minute while all is well; its /fail when somebody must look after the mount. Default: none.",
      valueName: "address"))
  var heartbeatURL: String?

  @Option(
    help: ArgumentHelp(
      "An open recording without a write for so long counts as stalled; 0: never. Default: 30.", valueName: "time"))
  var stallAfter: String?

  @Option(
    help: ArgumentHelp(
      "Desktop notifications: auto (if this session has a service for them) or none. Default: auto.", valueName: "when"))
  var notify: String?

  @Option(help: ArgumentHelp("Bytes the spool may hold, such as 20G. Default: a share of its disk.", valueName: "size"))
  var spoolQuota: String?

  @Option(
    help: ArgumentHelp("How long stored bytes stay here at least: a time, or all. Default: 0.", valueName: "time"))
  var keepLocal: String?

  @Option(help: ArgumentHelp("Time without a writer until a recording is finished. Default: 1.", valueName: "time"))
  var settle: String?

  @Option(help: ArgumentHelp("A partial last chunk is sent after so long. Default: 10.", valueName: "time"))
  var maxLag: String?

  @Option(help: ArgumentHelp("Chunks on their way to a receiver: zstd or none. Default: none.", valueName: "method"))
  var compress: String?

  @Option(help: ArgumentHelp("This machine's name at the destination. Default: the host name.", valueName: "name"))
  var device: String?

  @Option(help: ArgumentHelp("The destination's bearer token, in a file.", valueName: "file"))
  var tokenFile: String?

  @Option(help: ArgumentHelp("Authorities to trust instead of the system's (PEM).", valueName: "file"))
  var caFile: String?

  @Option(name: .customLong("s3-endpoint"), help: ArgumentHelp("For s3:// other than Amazon's.", valueName: "address"))
  var s3Endpoint: String?

  @Option(help: ArgumentHelp("What fsync() waits for: local or remote. Default: local.", valueName: "place"))
  var fsync: String?

  @Option(
    name: .customShort("o"),
    help: ArgumentHelp("Mount options: allow_other, nosuid, nodev, noexec, noatime; writeback: fast tiny writes, uploaded later.", valueName: "option,…"))
  var mountOptions: [String] = []

  @Option(help: ArgumentHelp("Data of the receiver in this program. Default: beside the state.", valueName: "folder"))
  var recordingsData: String?

  @Option(
    help: ArgumentHelp(
      "Where this machine's browsers find the page of the mount, or none. Default: 127.0.0.1:8091, or a free port.",
      valueName: "host:port"))
  var web: String?

  @Flag(help: "Do not list user.sync.* attributes; they can still be read by name.")
  var hideXattrs = false

  @Flag(help: "Do not list .status; it can still be opened by name.")
  var hideStatus = false

  @Flag(help: "Deleting a recording here deletes it at the destination too.")
  var propagateDeletes = false

  @Flag(help: "Detach once the mount is usable.")
  var daemon = false

  package func validate() throws {
    guard (1...2).contains(places.count) else {
      throw ValidationError("give a mount point, and before it a destination if you have one")
    }
  }

  /// Where a worker finds the config file as it was at the mount, should it be broken by the time the worker is replaced.
  static let copyVariable = "REELFS_CONFIG_COPY"

  /// For the workers of this mount: from now on a config file that becomes unusable does not keep a new one from serving.
  package func keepCopy() {
    guard let path = config ?? StateLocation.configFile(Environment.variables(StateLocation.variables)),
      let bytes = try? SystemFiles.read(path, bytesMax: ConfigFile.bytesMax)
    else { return }
    setenv(Self.copyVariable, String(decoding: bytes, as: UTF8.self), 1)
  }

  /// The same as `configuration`, with the config file as it was at the mount if it is no good now.
  package func configurationOfWorker() throws(CommandFailure) -> MountConfiguration {
    do throws(CommandFailure) { return try configuration() } catch {
      guard let copy = getenv(Self.copyVariable).map({ String(cString: $0) }) else { throw error }
      let environment = Environment.variables(Setting.allCases.map(\.variable) + StateLocation.variables)
      let configuration = try configuration(
        environment, file: try ConfigFile.parse(copy, path: config ?? "config.yaml as it was at the mount"))
      Terminal.complain("\(error.message); going on with the settings as they were at the mount")
      return configuration
    }
  }

  /// Reads flags, environment and config file.
  package func configuration() throws(CommandFailure) -> MountConfiguration {
    let environment = Environment.variables(Setting.allCases.map(\.variable) + StateLocation.variables)
    return try configuration(environment, file: try configFile(environment))
  }

  private func configuration(
    _ environment: [String: String], file: [Setting: SettingValue]
  ) throws(CommandFailure) -> MountConfiguration {
    guard let mountpoint = places.last else { throw CommandFailure("the mount point is missing") }
    guard !mountpoint.contains("://") else {
      throw CommandFailure("\(mountpoint) is a destination; the mount point is missing after it")
    }
    let settings = Settings(flags: flags, environment: environment, file: file)
    let reader = MountConfigurationReader(
      settings: settings, environment: environment, workingDirectory: Self.workingDirectory(), hostName: Self.hostName()
    )
    return try reader.configuration(mountpoint: mountpoint)
  }

  /// What was given on the command line.
  package var flags: [Setting: String] {
    var flags: [Setting: String] = [:]
    flags[.destination] = places.count == 2 ? places[0] : nil
    flags[.also] = also.isEmpty ? nil : also.joined(separator: "\n")
    flags[.stateDir] = stateDir
    flags[.uploadTimeout] = uploadTimeout
    flags[.retryInitial] = retryInitial
    flags[.retryMax] = retryMax
    flags[.maxConsecutiveFailures] = maxConsecutiveFailures
    flags[.connectionCheckInterval] = connectionCheckInterval
    flags[.chunkSize] = chunkSize
    flags[.parallel] = parallel
    flags[.limit] = limit
    flags[.limitSchedule] = limitSchedule
    flags[.syncEvery] = syncEvery
    flags[.pauseOnMetered] = pauseOnMetered ? "true" : nil
    flags[.onSynced] = onSynced
    flags[.onFailed] = onFailed
    flags[.heartbeatURL] = heartbeatURL
    flags[.stallAfter] = stallAfter
    flags[.notify] = notify
    flags[.spoolQuota] = spoolQuota
    flags[.keepLocal] = keepLocal
    flags[.settle] = settle
    flags[.maxLag] = maxLag
    flags[.compress] = compress
    flags[.device] = device
    flags[.tokenFile] = tokenFile
    flags[.caFile] = caFile
    flags[.s3Endpoint] = s3Endpoint
    flags[.fsync] = fsync
    flags[.mountOptions] = mountOptions.isEmpty ? nil : mountOptions.joined(separator: ",")
    flags[.recordingsData] = recordingsData
    flags[.web] = web
    flags[.hideXattrs] = hideXattrs ? "true" : nil
    flags[.hideStatus] = hideStatus ? "true" : nil
    flags[.propagateDeletes] = propagateDeletes ? "true" : nil
    flags[.daemon] = daemon ? "true" : nil
    return flags
  }

  /// A file that was asked for must be there; the usual one may be missing.
  private func configFile(_ environment: [String: String]) throws(CommandFailure) -> [Setting: SettingValue] {
    guard let path = config ?? StateLocation.configFile(environment) else { return [:] }
    let bytes: [UInt8]
    do throws(SystemFailure) {
      bytes = try SystemFiles.read(path, bytesMax: ConfigFile.bytesMax)
    } catch {
      if config == nil, error.number == ENOENT { return [:] }
      throw CommandFailure("the config file cannot be read: \(error)")
    }
    return try ConfigFile.parse(String(decoding: bytes, as: UTF8.self), path: path)
  }

  private static func workingDirectory() -> String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
  }

  private static func hostName() -> String {
    // HOST_NAME_MAX is 64; the last byte stays NUL whatever comes.
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "" }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

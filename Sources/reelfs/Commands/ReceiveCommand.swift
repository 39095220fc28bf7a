import ArgumentParser
import Logging
import Receiver
import Supervisor
import SyncStatus

struct ReceiveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receive",
    abstract: "Be the server that recordings are uploaded to.",
    discussion: """
      Keeps every chunk durably before it answers. Whole recordings appear below DATA/recordings/DEVICE/PATH; what has \
      arrived of a running one can be played from http://host:port/recordings/DEVICE/PATH. Clients of tus 1.0 upload to \
      http://host:port/files/. Without a token it listens \
      on this machine only. SIGTERM and SIGINT finish what is in flight.

      Examples:
        reelfs receive
        reelfs receive --data /srv/recordings --verify
        reelfs receive --listen 0.0.0.0:8090 --data /srv/recordings --token-file /etc/reelfs/token \\
          --tls-cert cert.pem --tls-key key.pem
      """)

  @Option(help: ArgumentHelp("Where to listen; port 0 takes any free one.", valueName: "host:port"))
  var listen = "127.0.0.1:8090"

  @Option(
    help: ArgumentHelp("Where to keep recordings; the last folder is made.", valueName: "folder"),
    completion: .directory)
  var data = "./uploaded_data"

  @Option(
    help: ArgumentHelp("The bearer token that clients must send, in a file.", valueName: "file"), completion: .file())
  var tokenFile: String?

  @Option(help: ArgumentHelp("Certificate and its chain, leaf first (PEM).", valueName: "file"), completion: .file())
  var tlsCert: String?

  @Option(help: ArgumentHelp("Private key of the certificate (PEM).", valueName: "file"), completion: .file())
  var tlsKey: String?

  @Option(
    help: ArgumentHelp("Unfinished tus uploads are deleted after so many days without a byte.", valueName: "days"))
  var tusExpiry = 7

  @Flag(help: "Read every stored byte again, compare it with what was acknowledged, and end.")
  var verify = false

  /// Started by a mount: says on the supervisor's pipe when it listens.
  @Flag(help: .hidden) var supervised = false

  func validate() throws {
    guard (tlsCert == nil) == (tlsKey == nil) else {
      throw ValidationError(
        "--tls-cert and --tls-key belong together: \(tlsCert == nil ? "--tls-cert" : "--tls-key") is missing")
    }
    guard (1...36_500).contains(tusExpiry) else { throw ValidationError("--tus-expiry must be 1 to 36500 days") }
    _ = try address()
  }

  func run() async throws {
    if verify { return try verifyData() }
    if supervised { Worker.dieWithSupervisor() }
    let announceReady = supervised ? nil : ServiceManager.current()?.announceReady
    let (host, port) = try address()
    var configuration = ReceiverConfiguration(
      listenHost: host, listenPort: port, dataDirectory: data, token: try tokenFile.map(TokenFile.read), tls: tls)
    configuration.limits.tusExpirySeconds = tusExpiry * 86_400
    let scheme = tls == nil ? "http" : "https"
    let folder = data
    do {
      let receiver = try Receiver(configuration: configuration, logger: Logger(label: "reelfs.receiver")) { listening in
        if supervised { return Worker.announceReady() }
        let shown = listening.host.contains(":") ? "[\(listening.host)]" : listening.host
        let sentence = "receiving on \(scheme)://\(shown):\(listening.port), data in \(folder)"
        Terminal.say(sentence)
        announceReady?(sentence)
      }
      try await receiver.runUntilSignal()
    } catch {
      throw CommandFailure("cannot receive on \(listen): \(error)")
    }
  }

  /// Ends with 0 when all is as acknowledged, with 4 when something is not.
  private func verifyData() throws {
    let report: ReceiverVerifier.Report
    do {
      report = try ReceiverVerifier.verify(dataDirectory: data, logger: Logger(label: "reelfs.receiver"))
    } catch {
      throw CommandFailure("cannot verify \(data): \(error)")
    }
    report.problems.forEach(Terminal.complain)
    Terminal.say(report.description)
    if !report.isSound { throw ReelfsExit.failedOrPaused.code }
  }

  private var tls: ReceiverConfiguration.TLSFiles? {
    guard let tlsCert, let tlsKey else { return nil }
    return ReceiverConfiguration.TLSFiles(certificatePath: tlsCert, keyPath: tlsKey)
  }

  private func address() throws -> (host: String, port: Int) {
    do throws(TextError) {
      return try ReceiverAddress.listening(listen)
    } catch {
      throw ValidationError("--listen: \(error.message)")
    }
  }
}

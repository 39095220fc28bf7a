import ArgumentParser
import Glibc
import Logging
import MountPage
import Supervisor
import SystemPackage

/// What the supervisor starts when a browser connects: serves a mount's page on the socket that it inherits. Not for
/// people.
struct PageServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "page-server", shouldDisplay: false)

  @Option var mountpoint: String
  @Option var pageFile: String

  func run() async throws {
    Worker.dieWithParent()
    signal(SIGPIPE, SIG_IGN)
    // "Read the settings again" is the worker's business.
    signal(SIGHUP, SIG_IGN)
    guard let token = PageFile(path: pageFile).token else { throw CommandFailure("\(pageFile) holds no token") }
    var logger = Logger(label: "reelfs.page")
    // A browser that leaves is no news.
    logger.logLevel = .error
    let server = MountPageServer(
      responder: MountPageResponder(mountpoint: mountpoint, token: token, listenHost: "127.0.0.1"), logger: logger)
    do {
      try await server.run(on: Worker.listener.rawValue) { Worker.announceReady() }
    } catch is MountPageServer.Idle {
      Glibc.exit(0)
    }
  }
}

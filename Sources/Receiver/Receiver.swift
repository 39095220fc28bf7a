import HTTPTypes
package import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOCore
import NIOSSL
import PageServing
public import ServiceLifecycle
import UnixSignals

/// The server of the chunk protocol (docs/PROTOCOL.md): chunks go in, whole recordings come out.
///
/// Creating it takes the data folder's lock and mends what an interrupted run left; `run()` listens. Ends when its
/// service group shuts down gracefully: it takes no new connection then, finishes what is in flight, and returns.
public struct Receiver: Service {
  private let configuration: ReceiverConfiguration
  private let logger: Logger
  private let onListening: @Sendable (ListeningAddress) async -> Void
  private let folder: DataFolder
  private let vault: Vault
  private let catalog: Catalog
  private let dispatcher: Dispatcher
  private let tusSweeping: Task<Void, Never>
  private let server: HTTPServerBuilder

  /// Where the receiver listens.
  public struct ListeningAddress: Sendable, Equatable {
    public let host: String
    public let port: Int
  }

  /// Blocks while it opens the data folder; a damaged or missing catalog is rebuilt from the data, which reads all
  /// of it.
  /// - Parameter onListening: called once, when connections are accepted.
  /// - Throws: `.tokenNeeded`, `.dataFolder`, `.dataFolderInUse`, `.tls`, `.storage`; each says what to do.
  public init(
    configuration: ReceiverConfiguration, logger: Logger,
    onListening: @escaping @Sendable (ListeningAddress) async -> Void = { _ in }
  ) throws(ReceiverError) {
    if configuration.token == nil && !configuration.isLoopback {
      throw .tokenNeeded(host: configuration.listenHost)
    }
    if configuration.token?.isEmpty == true { throw .tokenNeeded(host: configuration.listenHost) }
    self.configuration = configuration
    self.logger = logger
    self.onListening = onListening
    server = try Self.server(configuration)
    folder = try DataFolder(path: configuration.dataDirectory)
    catalog = try CatalogOpening.open(folder, logger: logger)
    vault = Vault(folder: folder, catalog: catalog, sessionsMax: configuration.limits.sessionsMax, logger: logger)
    try vault.recover()
    let tus = TusStore(folder: folder, vault: vault, catalog: catalog, limits: configuration.limits)
    tusSweeping = TusSweeper(store: tus, logger: logger).start()
    let bodies = BodyBudget(bodiesMax: configuration.limits.bodiesMax)
    dispatcher = Dispatcher(
      tokenCheck: TokenCheck(token: configuration.token),
      listenHost: configuration.listenHost, isOpen: configuration.token == nil,
      page: ReceiverPage(catalog: catalog),
      chunks: ChunkEndpoint(vault: vault, budget: bodies),
      wholes: WholeRecordingsEndpoint(vault: vault, budget: bodies),
      sessions: SessionEndpoint(
        vault: vault, catalog: catalog, limits: configuration.limits, folder: folder),
      recordings: RecordingEndpoint(folder: folder, catalog: catalog),
      chunkReads: ChunkReadEndpoint(folder: folder, catalog: catalog),
      tus: TusEndpoint(
        store: tus, budget: BodyBudget(bodiesMax: configuration.limits.tusBodiesMax),
        access: TusAccess(hasToken: configuration.token != nil)))
  }

  /// Serves until the surrounding service group shuts down. Call once.
  /// - Throws: when the address cannot be listened on.
  public func run() async throws {
    do {
      // A page that is open would keep its stream, and with it the server, until the time for stopping is over.
      try await withGracefulShutdownHandler {
        try await application.run()
      } onGracefulShutdown: { [feed = dispatcher.page.feed] in
        Task { await feed.stop() }
      }
    } catch {
      stop()
      throw error
    }
    stop()
  }

  /// Serves until SIGTERM or SIGINT, or the surrounding task is cancelled. Call once, instead of `run()`.
  public func runUntilSignal() async throws {
    var group = ServiceGroupConfiguration(
      services: [self], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    group.maximumGracefulShutdownDuration = .seconds(configuration.limits.stopSecondsMax)
    try await ServiceGroup(configuration: group).run()
  }

  /// The HTTP side alone, for tests that need no socket.
  package var application: some ApplicationProtocol {
    Application(
      responder: dispatcher, server: server,
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.listenHost, port: configuration.listenPort), serverName: "reelfs",
        availableConnectionsDelegate: .maximum(configuration.limits.connectionsMax, logger: logger)),
      onServerRunning: { [configuration, onListening] channel in
        let port = channel.localAddress?.port ?? configuration.listenPort
        await onListening(ListeningAddress(host: configuration.listenHost, port: port))
      }, logger: logger)
  }

  /// Finishes what waits, closes the catalog and releases the data folder. Blocks; only when nothing is served
  /// any more.
  package func stop() {
    tusSweeping.cancel()
    vault.stop()
    do throws(CatalogError) { try catalog.close() } catch {
      logger.warning("the catalog was not closed", metadata: ["reason": "\(error)"])
    }
    folder.unlock()
  }

  private static func server(_ configuration: ReceiverConfiguration) throws(ReceiverError) -> HTTPServerBuilder {
    let http = HTTPServerBuilder { responder in
      HTTP1Channel(
        responder: { request, writer, channel in
          // curl and others wait for this before they send a body.
          if request.headers[.expect]?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
          }
          try await responder(request, writer, channel)
        },
        configuration: HTTP1Channel.Configuration(
          idleTimeout: .seconds(Int64(configuration.limits.idleSeconds)),
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100)))
    }
    guard let files = configuration.tls else { return http }
    do {
      let chain = try NIOSSLCertificate.fromPEMFile(files.certificatePath).map {
        NIOSSLCertificateSource.certificate($0)
      }
      let key = try NIOSSLPrivateKey(file: files.keyPath, format: .pem)
      return try .tls(
        http, tlsConfiguration: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key)))
    } catch { throw .tls("\(error)") }
  }
}

import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import NIOPosix
import PageServing
import Synchronization

/// Serves a mount's page on a socket that listens already: the supervisor's, which starts this process when a browser
/// connects. Ends by itself when nobody has asked for a while; the next connection starts it anew.
package final class MountPageServer: Sendable {
  private let responder: MountPageResponder
  private let logger: Logger
  private let lastAsked = Mutex(ContinuousClock.now)

  /// Open connections; more are closed. A browser opens six a page.
  private static let connectionsMax = 64
  /// Without a question for so long the process gives its memory back.
  private static let idle = Duration.seconds(600)

  package init(responder: MountPageResponder, logger: Logger) {
    self.responder = responder
    self.logger = logger
  }

  /// - Parameter socket: bound and listening.
  /// - Parameter onListening: called when connections are accepted.
  package func run(on socket: CInt, onListening: () -> Void) async throws {
    let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .bind(socket) { [connection, logger] channel in connection.setup(channel: channel, logger: logger) }
    onListening()
    try await server.executeThenClose { connections in
      try await withThrowingDiscardingTaskGroup { group in
        group.addTask { try await self.endWhenIdle() }
        let open = Budget(Self.connectionsMax)
        for try await connection in connections {
          group.addTask {
            guard open.take() else { return try await connection.channel.close() }
            await self.connection.handle(value: connection, logger: self.logger)
            open.release()
          }
        }
      }
    }
  }

  private var connection: HTTP1Channel {
    HTTP1Channel(
      responder: { [self] request, writer, _ in
        lastAsked.withLock { $0 = .now }
        let response = await responder.respond(to: request)
        try await writer.write(response: response.head, body: response.body)
        lastAsked.withLock { $0 = .now }
      },
      configuration: HTTP1Channel.Configuration(
        idleTimeout: .seconds(75),
        httpDecoderConfiguration: .init(maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100)))
  }

  /// Throws `Idle` when it is time to end.
  private func endWhenIdle() async throws {
    while true {
      try await Task.sleep(for: .seconds(30))
      if await responder.feed.isHeard { lastAsked.withLock { $0 = .now } }
      if lastAsked.withLock({ $0.duration(to: .now) }) > Self.idle { throw Idle() }
    }
  }

  /// Nobody has asked for a while.
  package struct Idle: Error {}
}

import Glibc
import Synchronization

/// An HTTP/1.1 server that misbehaves as told: plain blocking sockets, a thread a connection, loopback, any free port.
public final class FaultyServer: Sendable {
  public let port: UInt16
  public var url: String { "http://127.0.0.1:\(port)" }

  private let acceptor: Acceptor
  private let log: RequestLog

  /// - Parameter behave: chooses what to do with a request once its head is there; called on the connection's thread.
  public init(
    keepsBodies: Bool = false, behave: @escaping @Sendable (RequestHead) -> Behaviour
  ) throws(SocketError) {
    let log = RequestLog(keepsBodies: keepsBodies)
    self.log = log
    self.acceptor = try Acceptor { descriptor in
      let number = log.connectionOpened()
      Conversation(descriptor, number: number, log: log, behave: behave).run()
      log.connectionClosed()
    }
    self.port = acceptor.port
  }

  /// Does one thing after the other, a request each, and the last one for ever.
  public convenience init(keepsBodies: Bool = false, script: [Behaviour]) throws(SocketError) {
    precondition(!script.isEmpty, "a script says at least one thing")
    try self.init(keepsBodies: keepsBodies) { head in script[min(head.number, script.count - 1)] }
  }

  /// Sends these bytes as soon as somebody connects, and nothing more.
  public init(greeting: [UInt8]) throws(SocketError) {
    let log = RequestLog(keepsBodies: false)
    self.log = log
    self.acceptor = try Acceptor { descriptor in
      _ = log.connectionOpened()
      _ = Loopback.send(greeting, to: descriptor)
      while !Loopback.receive(4_096, from: descriptor).isEmpty {}
      log.connectionClosed()
    }
    self.port = acceptor.port
  }

  deinit { stop() }

  /// Ends all connections and returns when no thread is left.
  public func stop() { acceptor.stop() }

  /// Whether new connections are refused, as by a machine without the server.
  public func setRefusing(_ isRefusing: Bool) { acceptor.setRefusing(isRefusing) }

  /// Ends all connections that are open.
  public func cutConnections(byReset: Bool = false) { acceptor.sockets.shutDownAll(byReset: byReset) }

  /// Requests whose body was read as far as it was to be, in the order in which that was done.
  public var requests: [ReceivedRequest] { log.state.withLock { $0.requests } }
  public var connectionCount: Int { log.state.withLock { $0.connectionCount } }
  public var openConnections: Int { log.state.withLock { $0.open } }
  public var openConnectionsMax: Int { log.state.withLock { $0.openMax } }
}

/// What the server's threads write down.
final class RequestLog: Sendable {
  struct State {
    var requests: [ReceivedRequest] = []
    var headCount = 0
    var connectionCount = 0
    var open = 0
    var openMax = 0
  }

  let keepsBodies: Bool
  let state = Mutex(State())

  init(keepsBodies: Bool) { self.keepsBodies = keepsBodies }

  /// - Returns: the connection's number.
  func connectionOpened() -> Int {
    state.withLock {
      $0.connectionCount += 1
      $0.open += 1
      $0.openMax = max($0.openMax, $0.open)
      return $0.connectionCount - 1
    }
  }

  func connectionClosed() { state.withLock { $0.open -= 1 } }

  /// - Returns: the request's number.
  func headArrived() -> Int {
    state.withLock {
      $0.headCount += 1
      return $0.headCount - 1
    }
  }

  func append(_ request: ReceivedRequest) { state.withLock { $0.requests.append(request) } }
}

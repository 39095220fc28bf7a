import Foundation
import Glibc
import Synchronization

/// What a `FaultyProxy` does to the bytes that pass; counted for each connection by itself.
public struct ProxyFaults: Sendable, Equatable {
  public enum Answers: Sendable, Equatable {
    case asTheyAre
    /// Each block of an answer arrives twice.
    case twice
    /// Noise of the same length.
    case garbage
  }

  /// Each block is held back so long.
  public var delayMilliseconds = 0
  /// The connection ends once so many bytes went to the server.
  public var cutAfterRequestBytes: Int?
  /// The connection ends once so many bytes came back.
  public var cutAfterAnswerBytes: Int?
  /// Those ends are TCP resets.
  public var cutsByReset = false
  /// Nothing passes, either way, and nothing ends.
  public var isStalled = false
  /// New connections are refused, as by a machine without the server.
  public var isRefusing = false
  /// Each way of each connection.
  public var bytesPerSecondMax: Int?
  public var answers = Answers.asTheyAre

  public init() {}
}

/// Stands between a client and a real server on this machine, and does to their connections what networks do.
public final class FaultyProxy: Sendable {
  public let port: UInt16
  public var url: String { "http://127.0.0.1:\(port)" }

  private let acceptor: Acceptor
  private let traffic: Traffic

  /// - Parameter upstreamPort: the real server's, on the loopback address.
  public init(upstreamPort: UInt16, faults: ProxyFaults = ProxyFaults()) throws(SocketError) {
    let traffic = Traffic(faults)
    self.traffic = traffic
    self.acceptor = try Acceptor { client in traffic.carry(client, upstreamPort) }
    self.port = acceptor.port
    acceptor.setRefusing(faults.isRefusing)
  }

  deinit { stop() }

  /// Applies to open connections too; returns once in effect.
  public func set(_ faults: ProxyFaults) {
    traffic.state.withLock { $0.faults = faults }
    acceptor.setRefusing(faults.isRefusing)
  }

  /// Ends all connections that are open.
  public func cutConnections(byReset: Bool = false) { acceptor.sockets.shutDownAll(byReset: byReset) }

  public var connectionCount: Int { traffic.state.withLock { $0.connectionCount } }

  /// Bytes that went to the server so far, over all connections.
  public var requestBytes: Int { traffic.state.withLock { $0.requestBytes } }

  /// Ends all connections and returns when no thread is left.
  public func stop() {
    traffic.state.withLock { $0.isStopped = true }
    acceptor.stop()
  }
}

/// The connections of a proxy: two directions each, one of them on a thread of its own.
final class Traffic: Sendable {
  struct State {
    var faults: ProxyFaults
    var isStopped = false
    var connectionCount = 0
    var requestBytes = 0
  }

  private enum Direction { case request, answer }

  private static let blockBytes = 64 << 10

  let state: Mutex<State>

  init(_ faults: ProxyFaults) { state = Mutex(State(faults: faults)) }

  /// Carries bytes both ways until one side ends; the caller closes `client`.
  func carry(_ client: Int32, _ upstreamPort: UInt16) {
    state.withLock { $0.connectionCount += 1 }
    guard let server = try? Loopback.connect(port: upstreamPort) else {
      return Loopback.resetOnClose(client)
    }
    let finished = DispatchSemaphore(value: 0)
    Thread.detachNewThread { [self] in
      pump(.answer, from: server, to: client)
      finished.signal()
    }
    pump(.request, from: client, to: server)
    finished.wait()
    close(server)
  }

  private func pump(_ direction: Direction, from source: Int32, to target: Int32) {
    var passed = 0
    while true {
      let now = state.withLock { $0 }
      if now.isStopped { break }
      let limit = direction == .request ? now.faults.cutAfterRequestBytes : now.faults.cutAfterAnswerBytes
      if let limit, passed >= limit { break }
      guard !now.faults.isStalled else {
        usleep(2_000)
        continue
      }
      guard Loopback.isReady(source, POLLIN, milliseconds: 10) else { continue }
      let paced = now.faults.bytesPerSecondMax.map { max(1, $0 / 10) } ?? Self.blockBytes
      let room = min(paced, Self.blockBytes, (limit ?? .max) - passed)
      let block = Loopback.receive(room, from: source)
      guard !block.isEmpty, hold(block, now.faults) else { break }
      passed += block.count
      if direction == .request { state.withLock { $0.requestBytes += block.count } }
      guard Loopback.send(direction == .answer ? changed(block, now.faults.answers) : block, to: target) else { break }
    }
    // Ends the other direction too.
    let endsByReset = state.withLock { $0.faults.cutsByReset }
    Loopback.end(source, byReset: endsByReset)
    Loopback.end(target, byReset: endsByReset)
  }

  /// Keeps a block back as long as the faults say, also when they stall meanwhile. - Returns: false when stopped.
  private func hold(_ block: [UInt8], _ faults: ProxyFaults) -> Bool {
    var microseconds = faults.delayMilliseconds * 1_000
    if let rate = faults.bytesPerSecondMax { microseconds += block.count * 1_000_000 / max(1, rate) }
    while true {
      let now = state.withLock { $0 }
      if now.isStopped { return false }
      if microseconds <= 0, !now.faults.isStalled { return true }
      let step = 10_000
      usleep(UInt32(step))
      microseconds -= step
    }
  }

  private func changed(_ block: [UInt8], _ answers: ProxyFaults.Answers) -> [UInt8] {
    switch answers {
    case .asTheyAre: block
    case .twice: block + block
    case .garbage: block.map { $0 ^ 0x5a }
    }
  }
}

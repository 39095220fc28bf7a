internal import CLinux
internal import Foundation
internal import Glibc
internal import Synchronization

/// What systemd does for a service of `Type=notify` that has a file descriptor store: starts it, listens to it, keeps its
/// descriptors, and gives them to the next start. Deaths are not noticed by itself: the test starts the service again.
public final class FakeServiceManager: Sendable {
  private let socketName: String
  private let socket: Int32
  private let watchdogMicroseconds: Int?
  private let state = Mutex(State())

  private struct State {
    var process: pid_t = 0
    var messages: [String] = []
    var kept: [(name: String, descriptor: Int32)] = []
  }

  /// - Parameters:
  ///   - socketName: a path, or `@` and an abstract name.
  ///   - watchdogSeconds: nil for none.
  public init(socketName: String, watchdogSeconds: Double? = nil) throws {
    self.socketName = socketName
    watchdogMicroseconds = watchdogSeconds.map { Int($0 * 1e6) }
    socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(socketName.utf8)
    if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let count = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, count) }
    }
    guard result == 0 else { throw Failure("no socket \(socketName): errno \(errno)") }
    Thread { [weak self, socket] in
      while let message = FakeServiceManager.receive(socket) { self?.take(message) }
    }.start()
  }

  deinit {
    // Ends the thread.
    shutdown(socket, Int32(SHUT_RDWR))
    close(socket)
  }

  // MARK: The service

  public var process: Int32 { state.withLock { $0.process } }
  /// All that the service has told, oldest first.
  public var messages: [String] { state.withLock { $0.messages } }
  /// How often it told this line.
  public func count(of line: String) -> Int {
    messages.count { $0.split(separator: "\n").contains(Substring(line)) }
  }
  public var keptNames: [String] { state.withLock { $0.kept.map(\.name).sorted() } }

  /// Starts the service, with what is kept for it.
  /// - Parameter output: a file that is appended to.
  public func start(_ words: [String], output: String, environment: [String: String] = [:]) throws {
    let kept = state.withLock { $0.kept }
    var variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    variables["NOTIFY_SOCKET"] = socketName
    var exports = "export SYSTEMD_EXEC_PID=$$"
    if !kept.isEmpty {
      variables["LISTEN_FDS"] = String(kept.count)
      variables["LISTEN_FDNAMES"] = kept.map(\.name).joined(separator: ":")
      exports += " LISTEN_PID=$$"
    }
    if let watchdogMicroseconds {
      variables["WATCHDOG_USEC"] = String(watchdogMicroseconds)
      exports += " WATCHDOG_PID=$$"
    }
    let log = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
    let sources = [nothing, log, log] + kept.map(\.descriptor)
    let lifted = sources.map { fcntl($0, F_DUPFD_CLOEXEC, 64) }
    defer { (lifted + [log, nothing]).forEach { close($0) } }
    let inherited = lifted.enumerated().map { clinux_inheritance(source: $1, target: Int32($0)) }
    var process: pid_t = 0
    let error = withCStrings(["/bin/sh", "-c", exports + "; exec \"$0\" \"$@\""] + words) { arguments in
      withCStrings(variables.map { "\($0.key)=\($0.value)" }) {
        clinux_spawn(&process, "/bin/sh", arguments, $0, inherited, Int32(inherited.count), 0)
      }
    }
    guard error == 0 else { throw Failure("cannot start \(words): errno \(error)") }
    state.withLock { $0.process = process }
  }

  public func send(_ signal: Int32) { kill(process, signal) }

  /// - Returns: its exit code, or 128 + the signal.
  public func waitForEnd() throws -> Int32 {
    var status: Int32 = 0
    let process = process
    try eventually("the service has ended") { waitpid(process, &status, WNOHANG) == process }
    state.withLock { $0.process = 0 }
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
  }

  /// Ends the service, if it runs, and gives up what is kept: a mount that was kept is dead then.
  public func giveUp() {
    let process = process
    if process != 0 {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
    state.withLock { state in
      state.process = 0
      state.kept.forEach { close($0.descriptor) }
      state.kept = []
    }
  }

  // MARK: Listening

  private static func receive(_ socket: Int32) -> (text: String, descriptor: Int32)? {
    var bytes = [UInt8](repeating: 0, count: 8192)
    var descriptor: Int32 = -1
    let count = clinux_receive_message(socket, &bytes, bytes.count, &descriptor)
    return count > 0 ? (String(decoding: bytes[..<count], as: UTF8.self), descriptor) : nil
  }

  private func take(_ message: (text: String, descriptor: Int32)) {
    let lines = message.text.split(separator: "\n")
    let name = lines.first { $0.hasPrefix("FDNAME=") }.map { String($0.dropFirst(7)) } ?? "stored"
    state.withLock { state in
      state.messages.append(message.text)
      if lines.contains("FDSTORE=1"), message.descriptor >= 0 {
        state.kept.append((name, message.descriptor))
      } else if lines.contains("FDSTOREREMOVE=1") {
        state.kept.filter { $0.name == name }.forEach { close($0.descriptor) }
        state.kept.removeAll { $0.name == name }
      }
    }
  }
}

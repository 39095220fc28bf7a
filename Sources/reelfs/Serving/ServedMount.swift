import Fuse
import Glibc
import Spool
import Supervisor
import SystemPackage

/// The supervisor's side of a mount: takes the state directory, mounts, and keeps the worker (and the embedded receiver)
/// running.
struct ServedMount {
  /// Set in the environment of the process that `--daemon` detaches.
  static let detachedVariable = "REELFS_DETACHED"
  static var isDetached: Bool { getenv(detachedVariable) != nil }

  private let configuration: MountConfiguration
  private let receiverPort: Int

  init(_ configuration: MountConfiguration) throws(CommandFailure) {
    self.configuration = configuration
    receiverPort = if case .embedded = configuration.destination { try Self.freePort() } else { 0 }
    if configuration.compression != .none { throw CommandFailure("--compress zstd is not built yet: leave it out") }
    if configuration.propagatesDeletes { throw CommandFailure("--propagate-deletes is not built yet: leave it out") }
    switch configuration.destination {
    case .receiver, .embedded, .tus, .s3: break
    case .folder:
      throw CommandFailure(
        "\(configuration.destination.description): this kind of destination is not built yet; use http(s)://host:port of a `reelfs receive`")
    }
  }

  /// - Returns: the exit code, when the mount is gone.
  func supervise() throws -> Int32 {
    let state = try StateDirectory(path: FilePath(configuration.stateDirectory))
    let lock = try state.lock()
    defer { try? lock.close() }
    // A worker whose supervisor was killed goes on serving: the folder is its own then.
    try state.lock(forWorker: true).close()
    let mount = try FuseMount.mount(
      at: configuration.mountpoint, allowOther: configuration.fuse.allowsOther,
      source: configuration.destination.description.hasPrefix("embedded")
        ? "reelfs" : configuration.destination.description, say: Terminal.complain)
    // A crashed worker is replaced at once; Swift's backtrace would keep recorders waiting for a minute before. Whoever
    // hunts a crash sets the variable.
    setenv("SWIFT_BACKTRACE", "enable=no", 0)
    let shared = try SharedState.create()
    let settings = Supervisor.Settings(
      recordings: state.recordings.string, say: Terminal.complain, becameReady: { [self] in becameReady(state) })
    let supervisor = try Supervisor(
      mount: mount, state: shared.descriptor, children: children, settings: settings)
    return supervisor.run()
  }

  private var children: [ChildProcess] {
    // The flags after the subcommand's name are the worker's as well.
    let flags = Array(CommandLine.arguments.dropFirst(2))
    var children = [
      ChildProcess(
        name: "worker", role: .worker,
        arguments: ["worker"] + flags + (receiverPort > 0 ? ["--receiver-port", String(receiverPort)] : []),
        policy: .worker)
    ]
    if case .embedded(let data) = configuration.destination {
      children.append(
        ChildProcess(
          name: "receiver", role: .helper,
          arguments: ["receive", "--listen", "127.0.0.1:\(receiverPort)", "--data", data, "--supervised"],
          policy: .helper))
    }
    return children
  }

  private func becameReady(_ state: StateDirectory) {
    Terminal.say(
      "recording folder \(configuration.mountpoint) uploads to \(configuration.destination.description); "
        + "status: \(configuration.mountpoint)/.status/summary, local copies: \(state.recordings)")
    if Self.isDetached { Daemon.announceReady() }
  }

  /// A port of the loopback interface that nobody listens on: the receiver's usual one if it is free.
  private static func freePort() throws(CommandFailure) -> Int {
    for wanted in [UInt16(8090), 0] {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(descriptor) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = wanted.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let port = withUnsafeMutableBytes(of: &address) { bytes -> UInt16? in
        let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
        guard bind(descriptor, pointer, length) == 0, getsockname(descriptor, pointer, &length) == 0 else { return nil }
        return bytes.load(fromByteOffset: 2, as: UInt16.self).bigEndian
      }
      if let port { return Int(port) }
    }
    throw CommandFailure("no free port on the loopback interface for the embedded receiver")
  }
}

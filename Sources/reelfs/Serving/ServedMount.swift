import Foundation
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
    if configuration.propagatesDeletes { throw CommandFailure("--propagate-deletes is not built yet: leave it out") }
  }

  /// - Returns: the exit code, when the mount is gone.
  func supervise() throws -> Int32 {
    let service = ServiceManager.current()
    let state = try StateDirectory(path: FilePath(configuration.stateDirectory))
    let lock = try state.lock(patience: Self.oldMountPatience)
    defer { try? lock.close() }
    try refuseOtherOrder(state)
    let (mount, shared) = try mount(service, state)
    // A crashed worker is replaced at once; Swift's backtrace would keep recorders waiting for a minute before. Whoever
    // hunts a crash sets the variable.
    setenv("SWIFT_BACKTRACE", "enable=no", 0)
    var settings = Supervisor.Settings(
      recordings: state.recordings.string, say: Terminal.complain, becameReady: {})
    settings.service = service
    let page = configuration.page.flatMap { PageSocket.open($0, state: state) }
    defer { page?.close() }
    settings.becameReady = { [self] in becameReady(state, page) }
    let supervisor = try Supervisor(mount: mount, state: shared, children: children(page), settings: settings)
    return supervisor.run()
  }

  /// A journal that cannot be read now is the worker's business.
  private func refuseOtherOrder(_ state: StateDirectory) throws(CommandFailure) {
    guard FileManager.default.fileExists(atPath: state.journal.string),
      let journal = try? Journal(reading: state.journal.string)
    else { return }
    let complaint = try? journal.orderComplaint(
      first: configuration.destination.description, others: configuration.also.map(\.destination.description))
    if let complaint { throw CommandFailure("\(configuration.stateDirectory): \(complaint)") }
  }

  /// The mount that the service manager kept for us, or a new one.
  private func mount(_ service: ServiceManager?, _ state: StateDirectory) throws -> (FuseMount, SharedState) {
    if let kept = service?.continued(at: configuration.mountpoint, say: Terminal.complain) {
      // The worker dies with its supervisor, but not in the same instant: a call that is under way on a slow disk comes to
      // its end first.
      try state.lock(forWorker: true, patience: Self.oldWorkerPatience).close()
      return kept
    }
    // A worker whose supervisor was killed goes on serving: the folder is its own then.
    try state.lock(forWorker: true, patience: Self.oldMountPatience).close()
    let mount = try FuseMount.mount(
      at: configuration.mountpoint, allowOther: configuration.fuse.allowsOther,
      source: configuration.destination.description.hasPrefix("embedded")
        ? "reelfs" : configuration.destination.description, say: Terminal.complain)
    let shared = try SharedState.create()
    service?.keep(mount, shared)
    return (mount, shared)
  }

  /// Longer than any disk takes that still works; the service manager's own limit for starts is 90 s.
  private static let oldWorkerPatience = Duration.seconds(60)
  /// For a mount that was killed a moment ago. One that lives is told of as soon as this is over.
  private static let oldMountPatience = Duration.seconds(5)

  private func children(_ page: PageSocket?) -> [ChildProcess] {
    // The flags after the subcommand's name are the worker's as well.
    let flags = Array(CommandLine.arguments.dropFirst(2))
    var children = [
      ChildProcess(
        name: "worker", role: .worker,
        // The port first: after a `--` of the user's, everything is a place.
        arguments: ["worker"] + (receiverPort > 0 ? ["--receiver-port", String(receiverPort)] : []) + flags,
        policy: .worker)
    ]
    if case .embedded(let data) = configuration.destination {
      children.append(
        ChildProcess(
          name: "receiver", role: .helper,
          arguments: ["receive", "--listen", "127.0.0.1:\(receiverPort)", "--data", data, "--supervised"],
          policy: .helper))
    }
    if let page {
      children.append(
        ChildProcess(
          name: "page", role: .onDemand(listener: page.socket),
          arguments: ["page-server", "--mountpoint", configuration.mountpoint, "--page-file", page.file],
          policy: .helper))
    }
    return children
  }

  private func becameReady(_ state: StateDirectory, _ page: PageSocket?) {
    Terminal.say(
      "recording folder \(configuration.mountpoint) uploads to "
        + ([configuration.destination] + configuration.also.map(\.destination)).map(\.description).joined(separator: " and ") + "; "
        + "status: \(configuration.mountpoint)/.status/summary, local copies: \(state.recordings)")
    if let page { Terminal.say(page.announcement) }
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

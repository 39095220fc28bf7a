import Fuse
import Glibc
import Supervisor
import SystemPackage

/// The program that the mount tests run: `fuse-probe serve FOLDER MOUNTPOINT`, one process without
/// a supervisor, or `fuse-probe mount FOLDER MOUNTPOINT`, with one (which runs `fuse-probe worker …`).
enum FuseProbe {
  static func run() {
    let arguments = CommandLine.arguments
    do {
      switch arguments.count > 1 ? arguments[1] : "" {
      case "mount": 
        try supervise(
          folder: arguments[2], mountpoint: arguments[3], quickDeathsMax: arguments.dropFirst(4).first.flatMap { Int($0) }) { say("ready") }
      case "daemon": try detach(folder: arguments[2], mountpoint: arguments[3])
      case "detached": detached(folder: arguments[2], mountpoint: arguments[3])
      case "worker": try work(folder: arguments[2], mountpoint: arguments[3])
      case "serve": try serve(folder: arguments[2], mountpoint: arguments[3])
      default: exit(64)
      }
    } catch {
      _ = try? FileDescriptor.standardError.writeAll("fuse-probe: \(error)\n".utf8)
      exit(1)
    }
  }

  private static func supervise(
    folder: String, mountpoint: String, quickDeathsMax: Int?, becameReady: @escaping () -> Void
  ) throws {
    let service = ServiceManager.current()
    let (mount, state) = try mount(service, mountpoint)
    let worker = ChildProcess(
      name: "worker", role: .worker, arguments: ["worker", folder, mount.path],
      policy: quickDeathsMax.map { RestartPolicy(quickDeathsMax: $0) } ?? .worker)
    var settings = Supervisor.Settings(recordings: folder, say: say, becameReady: becameReady)
    settings.service = service
    let supervisor = try Supervisor(mount: mount, state: state, children: [worker], settings: settings)
    exit(supervisor.run())
  }

  private static func mount(_ service: ServiceManager?, _ mountpoint: String) throws -> (FuseMount, SharedState) {
    if let kept = service?.continued(at: mountpoint, say: say) { return kept }
    let mount = try FuseMount.mount(at: mountpoint, options: MountOptions(), say: say)
    let state = try SharedState.create()
    service?.keep(mount, state)
    return (mount, state)
  }

  private static func detach(folder: String, mountpoint: String) throws {
    let nothing = try FileDescriptor.open("/dev/null", .writeOnly)
    switch Daemon.start(arguments: ["detached", folder, mountpoint], output: nothing) {
    case .ready: say("ready")
    case .failed(let message):
      say(message)
      exit(1)
    }
  }

  private static func detached(folder: String, mountpoint: String) {
    do {
      try supervise(folder: folder, mountpoint: mountpoint, quickDeathsMax: nil) { Daemon.announceReady() }
    } catch {
      Daemon.announceFailure("\(error)")
      exit(1)
    }
  }

  private static func work(folder: String, mountpoint: String) throws {
    Worker.begin()
    // For the tests of a worker that cannot be brought back, and of one that cannot begin, of one that somebody kills each time.
    if access(folder + "/crash", F_OK) == 0 { abort() }
    let kills = open(folder + "/kill", O_WRONLY | O_APPEND)
    if kills >= 0 {
      write(kills, "x", 1)
      raise(SIGKILL)
    }
    if folder.hasPrefix("/dev/null") { exit(3) }
    let state = try SharedState(descriptor: Worker.state)
    var options = SessionOptions()
    options.onRefusal = { say("\($0)") }
    let session = try Session(
      descriptor: Worker.device, sharedState: state,
      fileSystem: PassthroughFileSystem(folder: folder, handles: state.handles), options: options)
    exit(try Worker.serve(session, mountpoint: mountpoint))
  }

  private static func say(_ text: String) {
    print(text)
    fflush(nil)
  }

  private static func serve(folder: String, mountpoint: String) throws {
    let mount = try FuseMount.mount(at: mountpoint, options: MountOptions()) { print($0) }
    let state = try SharedState.create()
    let session = try Session(
      descriptor: mount.device, sharedState: state,
      fileSystem: PassthroughFileSystem(folder: folder, handles: state.handles), options: SessionOptions())
    print("ready")
    fflush(nil)
    let end = try session.run()
    print("ended \(end)")
  }
}

import Fuse
import Glibc
import Supervisor
import SystemPackage

/// The program that the mount tests run: `fuse-probe serve FOLDER MOUNTPOINT`, one process without a supervisor.
enum FuseProbe {
  static func run() {
    let arguments = CommandLine.arguments
    do {
      switch arguments.count > 1 ? arguments[1] : "" {
      case "serve": try serve(folder: arguments[2], mountpoint: arguments[3])
      default: exit(64)
      }
    } catch {
      _ = try? FileDescriptor.standardError.writeAll("fuse-probe: \(error)\n".utf8)
      exit(1)
    }
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

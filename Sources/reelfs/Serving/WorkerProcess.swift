import CurlTransport
import Fuse
import Glibc
import RecordingFS
import Spool
import Supervisor
import SyncStatus
import SystemPackage
import UploadCore

/// The worker's side of a mount: puts file system and uploader together and runs them until the mount is gone.
struct WorkerProcess {
  private let configuration: MountConfiguration
  private let baseURL: String
  /// Flags, variables and file as they are now.
  private let readAgain: @Sendable () throws(CommandFailure) -> MountConfiguration

  init(
    _ configuration: MountConfiguration, receiverPort: Int?,
    readAgain: @escaping @Sendable () throws(CommandFailure) -> MountConfiguration
  ) {
    self.configuration = configuration
    self.readAgain = readAgain
    baseURL =
      if let receiverPort { "http://127.0.0.1:\(receiverPort)" } else { configuration.destination.description }
  }

  /// - Returns: the exit code for the supervisor.
  func serve() throws -> Int32 {
    Worker.begin()
    umask(0)
    let state = try StateDirectory(path: FilePath(configuration.stateDirectory))
    let lock = try state.lock(forWorker: true)
    defer { try? lock.close() }
    let shared = try SharedState(descriptor: Worker.state)
    let uploader = try Uploader(configuration, state: state, baseURL: baseURL)
    let fileSystem = RecordingFileSystem(
      spool: uploader.spool, handles: shared.handles, status: uploader.statusTree,
      synchronizesRemotely: configuration.synchronizeTo == .remote)
    var options = SessionOptions()
    options.writeback = configuration.fuse.collectsWrites
    options.onRefusal = { refused in
      Terminal.complain(
        "\(refused); its name: find \(state.recordings) -inum \(refused.node.rawValue) (1: the folder itself)")
    }
    let session = try Session(
      descriptor: Worker.device, sharedState: shared, fileSystem: fileSystem, options: options)
    if !session.survivesWorkerDeath, !session.isContinued {
      Terminal.complain(
        "this kernel is older than 6.9: should the worker die, requests it has in hand fail instead of being repeated")
    }
    _ = fileSystem.restoreHandles()
    uploader.start(asWorker: shared.lives)
    let reload = SettingsReload(configuration, uploader, readAgain: readAgain)
    let code = try Worker.serve(
      session, mountpoint: configuration.mountpoint, hangup: { reload.run() }, isAlive: { uploader.isAlive() })
    let left = uploader.stop()
    // A successor goes on at once: nothing to be told.
    if code != Worker.restartExitCode { Notices.tellEnd(left, recordings: state.recordings.string) }
    return code
  }
}

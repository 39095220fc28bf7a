import ArgumentParser
import Fuse
import Glibc
import Spool
import Supervisor
import Synchronization
import SystemPackage

struct MountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mount",
    abstract: "Mount a recording folder that uploads itself.",
    usage: "reelfs mount [DESTINATION] MOUNTPOINT [--state-dir FOLDER] [options]",
    discussion: """
      Whatever is written below MOUNTPOINT is kept in the state directory and uploaded to DESTINATION while it is being \
      written. Without a DESTINATION a receiver in this program keeps the copies on this machine. Runs until it is \
      unmounted or interrupted; what is not uploaded by then goes on at the next mount.

      Examples:
        reelfs mount ~/Recordings
        reelfs mount http://studio-server:8090 ~/Recordings --token-file ~/.reelfs-token
        reelfs mount https://server:8443 /mnt/rec --limit 2M -o allow_other --daemon
      """)

  @OptionGroup var options: MountOptions

  func run() throws {
    Terminal.isShared.store(true, ordering: .relaxed)
    let configuration = try options.configuration()
    options.keepCopy()
    if configuration.runsAsDaemon, !ServedMount.isDetached {
      try detach()
      if let page = PageFile(stateDirectory: configuration.stateDirectory).announcement { Terminal.say(page) }
      return
    }
    do {
      Glibc.exit(try ServedMount(configuration).supervise())
    } catch {
      let message = (error as? CommandFailure)?.message ?? "\(error)"
      if ServedMount.isDetached { Daemon.announceFailure(message) }
      throw CommandFailure(message)
    }
  }

  /// `--daemon`: the same command again, without a terminal, until it is ready or has failed.
  private func detach() throws {
    setenv(ServedMount.detachedVariable, "1", 1)
    let output = try FileDescriptor.open("/dev/null", .writeOnly, options: .closeOnExec)
    switch Daemon.start(arguments: Array(CommandLine.arguments.dropFirst()), output: output) {
    case .ready: return
    case .failed(let message): throw CommandFailure(message)
    }
  }
}

import ArgumentParser
import SyncStatus

struct RestartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract: "Change the program under running recorders.",
    discussion: """
      The process that serves the mount ends and a new one takes over, for instance after an upgrade of reelfs. Open \
      files stay open; a write() in between waits for well under a second.

      Examples:
        reelfs restart ~/Recordings
      """)

  @Argument(help: ArgumentHelp("Left out: every running mount.", valueName: "mountpoint"), completion: .directory)
  var mountpoint: String?

  func run() throws {
    for place in try MountLocator.system.places(for: mountpoint) {
      guard place.target == .all else {
        throw CommandFailure("a restart is for a whole mount: name \(place.root.path)")
      }
      try place.root.send(.restart)
      // The first answer comes from the new worker, or from the old one in its last moment; either way it is served. One that
      // was begun by the old one and ended by the new one may be torn: the next is whole.
      do { _ = try place.root.snapshot() } catch { _ = try place.root.snapshot() }
      Terminal.say("\(place.title): restarted")
    }
  }
}

import ArgumentParser
import SyncStatus

struct UnmountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unmount",
    abstract: "End a mount, with --wait only once everything is stored.",
    discussion: """
      Without --wait what is not stored yet stays in the spool, and goes on uploading at the next mount of the same \
      state directory: nothing is lost.

      Exit codes with --wait: 0 all synced and unmounted; 3 time was up, or 4 recordings failed or are paused: then it \
      says what is unfinished, and the mount stays.

      Examples:
        reelfs unmount ~/Recordings
        reelfs unmount ~/Recordings --wait --timeout 15m
      """)

  @Argument(help: ArgumentHelp("The root of a running mount.", valueName: "mountpoint"), completion: .directory)
  var mountpoint: String

  @Flag(help: "Drain the queue first.")
  var wait = false

  @Option(
    help: ArgumentHelp("Give up draining after this time, for example 90 or 15m.", valueName: "time"),
    transform: TimeLimit.seconds)
  var timeout: Double?

  func validate() throws {
    if timeout != nil && !wait { throw ValidationError("--timeout needs --wait") }
  }

  func run() throws {
    guard let place = try MountLocator.system.places(for: mountpoint).first, place.target == .all else {
      throw CommandFailure("\(mountpoint) is not the root of a mount")
    }
    if wait { try drain(place.root) }
    try Unmounting.unmount(place.root.path)
  }

  private func drain(_ root: MountRoot) throws {
    try root.send(.flush(.all))
    let (outcome, snapshot) = try Drain(timeout: timeout).waitVisibly { try root.snapshot() } nudge: {
      try root.send(.processUploads(.all, force: false))
    }
    switch outcome {
    case .synced:
      Terminal.say("\(root.path): \(SummaryPage.safeSentence(snapshot.overall))")
    case .failed, .timedOut:
      Terminal.complain("\(root.path) stays mounted: not everything is stored\n\(Drain.unfinished(snapshot))")
      Terminal.complain("Without --wait it is unmounted as it is; the rest goes on uploading at the next mount.")
      throw ReelfsExit(for: snapshot.overall.total.state).code
    }
  }
}

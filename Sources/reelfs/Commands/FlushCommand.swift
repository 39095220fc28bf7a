import ArgumentParser
import SyncStatus

struct FlushCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flush",
    abstract: "Send what is still open now, without waiting for the rest of a chunk.",
    discussion: """
      Exit codes with --wait: 0 all synced, 3 time was up while something was pending, 4 something failed or is paused.

      Examples:
        reelfs flush ~/Recordings/take1.mkv
        reelfs flush ~/Recordings --wait --timeout 10m && systemctl poweroff
      """)

  @OptionGroup var target: TargetArgument

  @Flag(help: "Return only when everything asked about is stored.")
  var wait = false

  @Option(
    help: ArgumentHelp("Give up waiting after this time, for example 90 or 15m.", valueName: "time"),
    transform: TimeLimit.seconds)
  var timeout: Double?

  func validate() throws {
    if timeout != nil && !wait { throw ValidationError("--timeout needs --wait") }
  }

  func run() throws {
    let places = try target.places()
    for place in places { try place.root.send(.flush(place.target)) }
    guard wait else {
      for place in places { Terminal.say("\(place.title): sending what is there now") }
      return
    }
    let start = MonotonicSeconds.now()
    var worst = ReelfsExit.allSynced
    for place in places {
      let left = timeout.map { max(0, $0 - (MonotonicSeconds.now() - start)) }
      let (outcome, snapshot) = try Drain(timeout: left).waitVisibly { try place.snapshot() } nudge: {
        try place.root.send(.processUploads(.all, force: false))
      }
      if outcome == .synced {
        Terminal.say("\(place.title): \(SummaryPage.safeSentence(snapshot.overall))")
        continue
      }
      Terminal.complain("\(place.title): not stored\n\(Drain.unfinished(snapshot))")
      worst = max(worst, ReelfsExit(for: snapshot.overall.total.state))
    }
    throw worst.code
  }
}

extension ReelfsExit: Comparable {
  package static func < (left: ReelfsExit, right: ReelfsExit) -> Bool { left.rawValue < right.rawValue }
}

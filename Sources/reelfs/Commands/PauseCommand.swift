import ArgumentParser
import SyncStatus

struct PauseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause",
    abstract: "Stop uploading; recording goes on.",
    discussion: """
      A pause outlives restarts and ends with reelfs resume. With a path only that recording or folder is paused.

      Examples:
        reelfs pause                      every mount
        reelfs pause ~/Recordings/raw     what is below this folder
      """)

  @OptionGroup var target: TargetArgument

  func run() throws {
    for place in try target.places() {
      try place.root.send(.pause(place.target))
      Terminal.say("\(place.title): paused; recording goes on, reelfs resume goes on uploading")
    }
  }
}

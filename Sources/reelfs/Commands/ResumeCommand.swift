import ArgumentParser
import SyncStatus

struct ResumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Go on uploading after a pause.",
    discussion: """
      Examples:
        reelfs resume
        reelfs resume ~/Recordings/raw
      """)

  @OptionGroup var target: TargetArgument

  func run() throws {
    for place in try target.places() {
      try place.root.send(.resume(place.target))
      Terminal.say("\(place.title): uploading again")
    }
  }
}

import ArgumentParser
import SyncStatus

struct RetryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract: "Try again at once instead of waiting for the next attempt.",
    discussion: """
      Waiting times are forgotten and the destination is asked at once. With --force what is on its way is cancelled \
      and sent anew, and recordings that failed for good are tried again: use it after mending the cause.

      Examples:
        reelfs retry
        reelfs retry --force ~/Recordings/take1.mkv
      """)

  @OptionGroup var target: TargetArgument

  @Flag(help: "Also cancel what is on its way, and try failed recordings again.")
  var force = false

  func run() throws {
    for place in try target.places() {
      try place.root.send(.processUploads(place.target, force: force))
      Terminal.say("\(place.title): trying again now")
    }
  }
}

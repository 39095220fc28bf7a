import ArgumentParser
import SyncStatus

struct EvictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evict",
    abstract: "Free the local disk of what is stored at the destination.",
    discussion: """
      Only chunks that the destination has confirmed go; what is not stored yet stays. Reading a recording fetches its \
      bytes back.

      Examples:
        reelfs evict ~/Recordings/take1.mkv
        reelfs evict ~/Recordings
      """)

  @OptionGroup var target: TargetArgument

  func run() throws {
    for place in try target.places() {
      try place.root.send(.evict(place.target))
      Terminal.say("\(place.title): stored bytes are being given up")
    }
  }
}

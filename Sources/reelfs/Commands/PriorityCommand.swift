import ArgumentParser
import SyncStatus

struct PriorityCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "priority",
    abstract: "Say which recordings go first.",
    discussion: """
      Recordings of a higher priority are sent before all others; among equals, running ones before finished ones. \
      The same as: setfattr -n user.sync.priority -v high PATH

      Examples:
        reelfs priority high ~/Recordings/interview.mkv
        reelfs priority low ~/Recordings/raw
      """)

  @Argument(
    help: ArgumentHelp("low, normal or high.", valueName: "level"),
    completion: .list(PriorityLevel.allCases.map(\.rawValue)),
    transform: Self.level)
  var level: PriorityLevel

  @Argument(
    help: ArgumentHelp("A recording, a folder in a mount, or a session id.", valueName: "path"), completion: .file())
  var path: String

  private static func level(_ text: String) throws -> PriorityLevel {
    guard let level = PriorityLevel(rawValue: text) else {
      throw ValidationError("\"\(text)\" is not a priority: low, normal or high")
    }
    return level
  }

  func run() throws {
    for place in try MountLocator.system.places(for: path) {
      try place.root.send(.prioritize(level, place.target))
      Terminal.say("\(place.title): priority \(level.rawValue)")
    }
  }
}

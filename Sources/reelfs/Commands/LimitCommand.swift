import ArgumentParser
import SyncStatus

struct LimitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "limit",
    abstract: "Limit how fast a mount uploads, from now on.",
    discussion: """
      Bytes a second over all transfers of the mount together, until the mount ends; --limit of reelfs mount sets it \
      for good. Units are binary: 1M is 1,048,576 bytes.

      Examples:
        reelfs limit 2M
        reelfs limit 512K ~/Recordings
        reelfs limit off
      """)

  @Argument(help: ArgumentHelp("Bytes a second such as 512K or 2M, or off.", valueName: "rate"))
  var rate: String

  @Argument(help: ArgumentHelp("Left out: every running mount.", valueName: "mountpoint"), completion: .directory)
  var mountpoint: String?

  func run() throws {
    let bytesPerSecond: Int?
    do throws(TextError) {
      bytesPerSecond = try ByteSize.parseRate(rate)
    } catch {
      throw CommandFailure(error.message)
    }
    let places = try MountLocator.system.places(for: mountpoint)
    if let place = places.first(where: { $0.target != .all }) {
      throw CommandFailure("a limit is for a whole mount: name \(place.root.path)")
    }
    for place in places {
      try place.root.send(.limit(bytesPerSecond: bytesPerSecond))
      let limit = bytesPerSecond.map { "at most \(ByteSize.human(Int64($0)))/s" } ?? "no limit"
      Terminal.say("\(place.title): \(limit)")
    }
  }
}

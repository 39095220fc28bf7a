import ArgumentParser

struct WebCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "web",
    abstract: "Print the address of a mount's page.",
    discussion: """
      The address holds the token that the page needs to pause, resume and the like; without it the page only shows. It \
      is new with each mount. Left out, MOUNTPOINT means every running mount.

      Examples:
        reelfs web
        xdg-open "$(reelfs web ~/Recordings)"
      """)

  @OptionGroup var target: TargetArgument

  func run() throws {
    for place in try target.places() {
      let record = try place.root.record()
      guard let url = PageFile(stateDirectory: record.stateDirectory).url else {
        throw CommandFailure("the mount at \(place.root.path) has no page: it was started with --web none")
      }
      Terminal.say(url)
    }
  }
}

import ArgumentParser
import SyncStatus

struct DebugBundleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "debug-bundle",
    abstract: "Pack what somebody needs who is to find out what is wrong.",
    discussion: """
      Writes one .tar.gz with versions, settings, status, the last events, figures of the journal, logs, what doctor \
      says, and mounts. Tokens and keys are never in it; names of recordings only with --include-names: without, each is \
      a number. Look into it before you give it away: tar -tzf FILE lists it.

      Examples:
        reelfs debug-bundle
        reelfs debug-bundle ~/Recordings --output /tmp/bundle.tar.gz
      """)

  @Argument(help: ArgumentHelp("The root of a running mount. Left out: every running mount.", valueName: "mountpoint"), completion: .directory)
  var mountpoint: String?

  @Option(
    help: ArgumentHelp("The file to write. Default: reelfs-debug-DATE-TIME.tar.gz here.", valueName: "file"), completion: .file())
  var output: String?

  @Flag(help: "Leave the names of recordings as they are.")
  var includeNames = false

  @Option(help: ArgumentHelp("The state directory to look into, also without a mount.", valueName: "folder"), completion: .directory)
  var stateDir: String?

  func run() throws {
    // A program that is in trouble may have no mount at all: then there is still the rest.
    let places = mountpoint == nil ? (try? MountLocator.system.places(for: nil)) ?? [] : try MountLocator.system.places(for: mountpoint)
    guard places.allSatisfy({ $0.target == .all }) else { throw CommandFailure("\(mountpoint ?? "") is not the root of a mount") }
    let roots = places.map(\.root)
    let silent = MountPulse.of(roots, at: \.path).filter { $0.1 == .silent }.map(\.0)
    for root in silent { Terminal.say("\(root.path) does not answer: what it would say is left out, its journal with --state-dir is not") }
    let bundle = DebugBundle(
      mounts: roots.filter { !silent.contains($0) }, stateDirectory: stateDir, includesNames: includeNames)
    let path = try BundleFile.write(bundle.files(), to: output)
    Terminal.say("\(path): without tokens\(includeNames ? "" : " and names of recordings"); tar -xzOf \(path) | less shows all of it")
  }
}

import Synchronization

/// SIGHUP: reads the settings again, and changes what can change under running recorders. Used on the signal thread.
final class SettingsReload: Sendable {
  /// What the mount runs with.
  private let current: Mutex<MountConfiguration>
  private let uploader: Uploader
  private let readAgain: @Sendable () throws(CommandFailure) -> MountConfiguration

  init(
    _ configuration: MountConfiguration, _ uploader: Uploader,
    readAgain: @escaping @Sendable () throws(CommandFailure) -> MountConfiguration
  ) {
    current = Mutex(configuration)
    self.uploader = uploader
    self.readAgain = readAgain
  }

  func run() {
    do throws(CommandFailure) {
      let new = try readAgain()
      current.withLock { current in
        let change = ConfigurationChange(from: current, to: new)
        if change.isNothing { return Terminal.say("settings read again: nothing changed") }
        if !change.now.isEmpty { uploader.adopt(change.result) }
        current = change.result
        change.sentences.forEach(Terminal.say)
      }
    } catch {
      Terminal.complain("\(error.message); all settings stay as they were")
    }
  }
}

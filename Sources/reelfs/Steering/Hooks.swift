import Foundation
import Glibc
package import Spool
import Supervisor
import Synchronization
package import SyncStatus
import UploadCore
import UploadProtocol

/// Runs the user's commands (`--on-synced`, `--on-failed`), one after the other on a thread of its own. What is due stands in
/// the journal, so the queue outlives the worker, and costs no memory however long it is.
final class Hooks: @unchecked Sendable {
  /// A command that takes longer is killed, with what it started: the next ones wait for it.
  static let secondsMax = 600.0
  /// Before the journal is asked again when it could not be read or written.
  private static let pauseSeconds = 5.0

  private let journal: Journal
  private let mountpoint: String
  private let destination: String
  // `condition` guards everything below it.
  private let condition = NSCondition()
  private var commands = HookCommands()
  private var isWoken = false
  private var isRunning = false
  private var isStopping = false

  init(journal: Journal, mountpoint: String, destination: String) {
    self.journal = journal
    self.mountpoint = mountpoint
    self.destination = destination
  }

  /// Takes these commands, and begins with what is due from before. Call it before facts are recorded that they are about.
  func adopt(_ commands: HookCommands) throws(JournalError) {
    try journal.rememberHooks(commands.events)
    condition.lock()
    defer { condition.unlock() }
    self.commands = commands
    isWoken = true
    condition.signal()
    if !isRunning, !commands.events.isEmpty { start() }
  }

  /// Something may be due. Any thread.
  func wake() {
    condition.lock()
    isWoken = true
    condition.signal()
    condition.unlock()
  }

  /// A command that runs goes on; it is run again at the next start, as nobody knows how it ended.
  func stop() {
    condition.lock()
    isStopping = true
    condition.signal()
    condition.unlock()
  }

  // MARK: The thread

  private func start() {
    isRunning = true
    let thread = Thread { [self] in while let commands = next() { runAll(commands) } }
    thread.name = "reelfs-hooks"
    thread.stackSize = 1 << 19
    thread.start()
  }

  /// Waits until somebody wakes it; nil: the end.
  private func next() -> HookCommands? {
    condition.lock()
    defer { condition.unlock() }
    while !isWoken, !isStopping { condition.wait() }
    isWoken = false
    return isStopping ? nil : commands
  }

  private func runAll(_ commands: HookCommands) {
    while !isStopped {
      do throws(JournalError) {
        guard let due = try journal.nextHook() else { return }
        if let command = commands[due.event] { run(command, due) }
        guard !isStopped else { return }
        try journal.hookEnded(due)
      } catch {
        Terminal.complain("commands wait, for the journal cannot be used: \(error.message)")
        usleep(UInt32(Self.pauseSeconds * 1e6))
      }
    }
  }

  private var isStopped: Bool {
    condition.lock()
    defer { condition.unlock() }
    return isStopping
  }

  private func run(_ command: CommandTemplate, _ due: DueHook) {
    let values = values(due)
    let environment = values.map { "REELFS_\($0.key.uppercased())=\($0.value)" }
    let ending = ToolCommand(command.filled(values), environment: environment).run(secondsMax: Self.secondsMax)
    let text = "--on-\(due.event.rawValue) \(PrintableText.line(values["path"] ?? "")): \(command.words[0]) \(ending)"
    if ending == .exited(0) { Terminal.say(text) } else { Terminal.complain(text) }
  }

  /// The places of a command, and with REELFS_ in front its variables. A path that is not UTF-8 is repaired; the session names
  /// the recording all the same.
  private func values(_ due: DueHook) -> [String: String] {
    let path = String(decoding: due.path, as: UTF8.self)
    return [
      "event": due.event.rawValue, "path": path, "file": mountpoint + "/" + path, "session": due.session.description,
      "status": due.event.rawValue, "error": due.error ?? "", "bytes": String(due.size), "destination": destination,
      "mountpoint": mountpoint,
    ]
  }
}

/// What is run after what; nil: nothing.
package struct HookCommands: Sendable, Equatable {
  package var synced: CommandTemplate?
  package var failed: CommandTemplate?

  package init() {}

  package subscript(event: HookEvent) -> CommandTemplate? {
    switch event {
    case .synced: synced
    case .failed: failed
    }
  }

  package var events: Set<HookEvent> { Set(HookEvent.allCases.filter { self[$0] != nil }) }
}

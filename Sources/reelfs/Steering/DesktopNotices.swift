import Foundation
import Glibc
import Supervisor

/// Tells the person at the desk through the session's notification service, if there is one. A handful of notices that come
/// together are one.
package final class DesktopNotices: @unchecked Sendable {
  package enum Notice: Sendable, Equatable {
    case synced(String)
    case failed(String, String)
    case paused(String)
    case stalled(String)
  }

  // `condition` guards everything below it.
  private let condition = NSCondition()
  private var waiting: [Notice] = []
  private var isRunning = false
  private var isStopping = false

  /// Notices that come within this time of the first are shown together.
  private static let gatherSeconds = 2.0
  /// What waits beyond is dropped: nobody reads it.
  private static let waitingMax = 64
  private static let secondsMax = 5.0

  /// Whether there is a session to tell it to.
  static var isThere: Bool {
    if getenv("DBUS_SESSION_BUS_ADDRESS") != nil { return true }
    guard let folder = getenv("XDG_RUNTIME_DIR") else { return false }
    return access(String(cString: folder) + "/bus", F_OK) == 0
  }

  /// Any thread; returns at once.
  func add(_ notice: Notice) {
    condition.lock()
    defer { condition.unlock() }
    guard !isStopping, waiting.count < Self.waitingMax else { return }
    waiting.append(notice)
    condition.signal()
    if !isRunning { start() }
  }

  func stop() {
    condition.lock()
    isStopping = true
    condition.broadcast()
    condition.unlock()
  }

  private func start() {
    isRunning = true
    let thread = Thread { [self] in
      while let notices = next() { for text in Self.texts(of: notices) { Self.show(text) } }
    }
    thread.name = "reelfs-desktop"
    thread.stackSize = 1 << 19
    thread.start()
  }

  private func next() -> [Notice]? {
    condition.lock()
    defer { condition.unlock() }
    while waiting.isEmpty, !isStopping { condition.wait() }
    let end = Date(timeIntervalSinceNow: Self.gatherSeconds)
    while !isStopping, condition.wait(until: end) {}
    if isStopping { return nil }
    defer { waiting = [] }
    return waiting
  }

  /// One for each kind, the urgent ones first.
  package static func texts(of notices: [Notice]) -> [(summary: String, body: String, isUrgent: Bool)] {
    var texts: [(String, String, Bool)] = []
    let failed = notices.compactMap { if case .failed(let name, let error) = $0 { (name, error) } else { nil } }
    if let (name, error) = failed.first {
      texts.append((failed.count == 1 ? "❌ \(name)" : "❌ \(failed.count) recordings were refused", error, true))
    }
    for case .stalled(let name) in notices { texts.append(("Nothing more is written", name, true)) }
    if case .paused(let reason)? = notices.last(where: { if case .paused = $0 { true } else { false } }) {
      texts.append(("⏸ Uploads wait", reason, false))
    }
    let synced = notices.compactMap { if case .synced(let name) = $0 { name } else { nil } }
    if let first = synced.first {
      texts.append((synced.count == 1 ? "✓ \(first)" : "✓ \(synced.count) recordings", "stored at the destination", false))
    }
    return texts
  }

  private static func show(_ text: (summary: String, body: String, isUrgent: Bool)) {
    let sent = ToolCommand([
      "notify-send", "--app-name=reelfs", "--urgency=\(text.isUrgent ? "critical" : "normal")", "--", text.summary, text.body,
    ]).run(secondsMax: secondsMax)
    guard case .notStarted = sent else { return }
    // The service itself, where libnotify's tool is not installed: urgency 2 stays until it is clicked away.
    let service = "org.freedesktop.Notifications"
    _ = ToolCommand([
      "busctl", "--user", "--", "call", service, "/org/freedesktop/Notifications", service, "Notify", "susssasa{sv}i", "reelfs",
      "0", "", text.summary, text.body, "0", "1", "urgency", "y", text.isUrgent ? "2" : "1", "-1",
    ]).output(secondsMax: secondsMax)
  }
}

/// What one check of `reelfs doctor` found.
package struct Finding: Sendable, Equatable {
  package enum Level: String, Sendable {
    case ok
    /// Works, but not as well as it could, or could not be checked.
    case warn
    /// Will not work until it is mended.
    case bad
  }

  package let level: Level
  package let subject: String
  package let text: String
  /// What to do; nil when there is nothing to do.
  package let mend: String?

  package init(_ level: Level, _ subject: String, _ text: String, mend: String? = nil) {
    self.level = level
    self.subject = subject
    self.text = text
    self.mend = mend
  }

  /// One line, and a second that says how to mend it.
  package func lines() -> String {
    let mark =
      switch level {
      case .ok: "✓ ok  "
      case .warn: "! warn"
      case .bad: "❌ bad"
      }
    let line = "\(mark)  \(subject): \(text)"
    return mend.map { line + "\n          → " + $0 } ?? line
  }
}

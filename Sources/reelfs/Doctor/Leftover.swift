import SyncStatus

/// An upload that was begun at a destination and is not finished.
package struct Leftover: Sendable, Equatable {
  /// For people.
  package let name: String
  /// For the journals.
  package let id: String
  package let bytes: Int64
  /// Seconds since 1970: when something of it last arrived; nil: the destination does not say.
  package let changed: Double?

  package init(name: String, id: String, bytes: Int64, changed: Double?) {
    self.name = name
    self.id = id
    self.bytes = bytes
    self.changed = changed
  }

  package enum Verdict: Sendable, Equatable {
    /// A journal of this machine goes on with it; its path.
    case inUse(String)
    /// It may be another machine's that records into the same place.
    case young
    case orphaned
  }

  /// Seconds; unless somebody says otherwise.
  package static let usualAge = 7.0 * 86_400

  /// An upload is given up by everybody when no journal of this machine knows it and nothing of it has come for `age`
  /// seconds. If another machine was only offline that long, nothing is lost: local bytes are kept until a recording is
  /// synced, and an upload that is gone is begun anew.
  /// - Parameter used: of each upload that a journal goes on with, the journal's path.
  package func verdict(used: [String: String], age: Double, now: Double) -> Verdict {
    if let journal = used[id] { return .inUse(journal) }
    guard let changed, now - changed >= age else { return .young }
    return .orphaned
  }

  package func finding(_ verdict: Verdict, age: Double, now: Double) -> Finding {
    let last = changed.map { "the last of it came \(DurationText.human(max(0, now - $0))) ago" } ?? "its age is not known"
    let what = "\(name): \(ByteSize.human(bytes)), \(last)"
    switch verdict {
    case .inUse(let journal): return Finding(.ok, "unfinished upload", "\(what); \(journal) goes on with it")
    case .young: return Finding(.ok, "unfinished upload", "\(what); kept until that is \(DurationText.human(age)), it may be another machine's")
    case .orphaned:
      return Finding(.warn, "unfinished upload", "\(what); nobody goes on with it", mend: "reelfs doctor --clean ends it")
    }
  }
}

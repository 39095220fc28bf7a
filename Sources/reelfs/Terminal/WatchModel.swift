package import SyncStatus
import UploadProtocol

/// What `reelfs status --watch` shows, and what its keys mean. It knows no terminal and no clock.
package struct WatchModel {
  /// What a key asks for.
  package enum Action: Equatable {
    case none, quit, suspend
    /// Lines for `.status/control`, each with the index of its mount.
    case send([Request])
  }

  package struct Request: Equatable {
    package let part: Int
    package let request: ControlRequest

    package init(part: Int, request: ControlRequest) {
      self.part = part
      self.request = request
    }
  }

  private struct Part {
    let title: String
    /// What all keys act on while nothing is selected.
    let target: ControlTarget
    var snapshot: StatusSnapshot?
    /// Why there is no newer snapshot.
    var trouble: String?
    var meter = PaceMeter()
    var scroll = 0

    /// By state, then by path: rows stay where they are while figures change.
    var recordings: [RecordingStatus] = []
  }

  private struct Selection: Equatable {
    var part: Int
    var session: SessionID
  }

  private var parts: [Part]
  private var selection: Selection?
  /// What the last key did; goes away with the next one.
  package var message: String?

  package init(places: [MountPlace]) { parts = places.map { Part(title: $0.title, target: $0.target) } }

  // MARK: Snapshots

  package mutating func add(_ snapshot: StatusSnapshot, to part: Int) {
    parts[part].snapshot = snapshot
    parts[part].trouble = nil
    parts[part].meter.add(snapshot)
    parts[part].recordings = snapshot.recordings.sorted { left, right in
      left.state != right.state ? left.state > right.state : left.path.lexicographicallyPrecedes(right.path)
    }
    if let selection, selection.part == part, !snapshot.recordings.contains(where: { $0.session == selection.session }) {
      self.selection = nil
    }
  }

  /// The mount does not answer now: what was known stays on the screen, with the reason.
  package mutating func add(trouble: String, to part: Int) { parts[part].trouble = trouble }

  /// The worst state last seen; a mount that was never seen counts as pending.
  package var worst: SyncState { parts.map { $0.snapshot?.overall.total.state ?? .uploading }.max() ?? .synced }

  /// A line for each mount, for the screen that comes back afterwards.
  package var farewell: [String] {
    parts.compactMap { part in
      part.snapshot.map { "\(part.title): \(Badge(of: $0.overall.total).text) \(SummaryPage.safeSentence($0.overall))" }
    }
  }

  // MARK: Keys

  package mutating func press(_ key: Key) -> Action {
    message = nil
    switch key {
    case .quit, .character("q"): return .quit
    case .suspend: return .suspend
    case .escape: selection = nil
    case .up, .character("k"): move(by: -1)
    case .down, .character("j"): move(by: 1)
    case .pageUp: move(by: -Self.page)
    case .pageDown: move(by: Self.page)
    case .home: move(by: -Int.max / 2)
    case .end: move(by: Int.max / 2)
    case .character("p"): return send("paused (r resumes)") { .pause($0) }
    case .character("r"): return send("uploading again") { .resume($0) }
    case .character("t"): return retry()
    case .character: break
    }
    return .none
  }

  /// Rows that PageUp and PageDown move by.
  private static let page = 10

  private mutating func move(by count: Int) {
    let all = parts.indices.flatMap { part in
      parts[part].recordings.compactMap { recording in recording.session.map { Selection(part: part, session: $0) } }
    }
    guard !all.isEmpty else { return }
    let now = selection.flatMap { all.firstIndex(of: $0) } ?? (count > 0 ? -1 : all.count)
    selection = all[min(max(0, now + count), all.count - 1)]
  }

  private mutating func send(_ done: String, _ request: (ControlTarget) -> ControlRequest) -> Action {
    message = done
    if let selection { return .send([Request(part: selection.part, request: request(.session(selection.session)))]) }
    return .send(parts.indices.map { Request(part: $0, request: request(parts[$0].target)) })
  }

  /// A failed recording is tried again by force: that is what a person means by it. What is on its way is left alone.
  private mutating func retry() -> Action {
    message = "trying again now"
    if let selection {
      let failed = parts[selection.part].recordings.contains { $0.session == selection.session && $0.state == .failed }
      return .send([
        Request(part: selection.part, request: .processUploads(.session(selection.session), force: failed))
      ])
    }
    return .send(
      parts.indices.flatMap { part in
        let failed = parts[part].recordings.filter { $0.state == .failed }.prefix(ControlText.linesMax)
        return failed.compactMap { $0.session }.map {
          Request(part: part, request: .processUploads(.session($0), force: true))
        } + [Request(part: part, request: .processUploads(parts[part].target, force: false))]
      })
  }

  // MARK: Drawing

  /// Exactly `rows` lines of at most `columns`: the mounts, and in the last two rows what happened and what the keys do.
  package mutating func lines(columns: Int, rows: Int, usesColour: Bool) -> [String] {
    let room = max(1, rows - 2)
    var lines: [String] = []
    for index in parts.indices {
      if index > 0 { lines.append("") }
      let mine = max(1, (room - lines.count) / (parts.count - index))
      lines += section(index, WatchTable(width: columns, rows: mine, usesColour: usesColour))
    }
    lines = Array(lines.prefix(room)) + Array(repeating: "", count: max(0, room - lines.count))
    lines.append(DisplayWidth.cut(PrintableText.line(message ?? ""), to: columns))
    lines.append(keyHelp(columns))
    return Array(lines.suffix(rows))
  }

  private mutating func section(_ index: Int, _ table: WatchTable) -> [String] {
    let part = parts[index]
    let trouble = part.trouble.map { DisplayWidth.wrap("⚠ " + PrintableText.line($0), to: table.width) } ?? []
    guard let snapshot = part.snapshot else {
      return trouble.isEmpty ? [DisplayWidth.cut(part.title, to: table.width)] : trouble
    }
    var smaller = table
    smaller.rows = max(1, table.rows - trouble.count)
    let selected = selection.flatMap { $0.part == index ? $0.session : nil }
    return trouble
      + smaller.lines(
        snapshot.overall, part.recordings, title: part.title, paces: part.meter.paces(snapshot), selected: selected,
        scroll: &parts[index].scroll)
  }

  private func keyHelp(_ columns: Int) -> String {
    var texts = ["p pause   r resume   t retry   ↑↓ choose one   q quit", "p pause  r resume  t retry  q quit"]
    if let selection,
      let recording = parts[selection.part].recordings.first(where: { $0.session == selection.session })
    {
      let keys = "p pause   r resume   t retry   esc all   q quit"
      let name = PrintableText.line(recording.pathText)
      let room = columns - DisplayWidth.of(keys) - 5
      texts = ["p pause  r resume  t retry  esc all"]
      if room >= 8 {
        texts.insert((DisplayWidth.of(name) <= room ? name : DisplayWidth.fit(name, to: room)) + ":   " + keys, at: 0)
      }
    }
    return texts.first { DisplayWidth.of($0) <= columns } ?? DisplayWidth.cut(texts[texts.count - 1], to: columns)
  }
}

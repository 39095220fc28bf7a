import Glibc
import SyncStatus
import UploadProtocol

/// `reelfs status --watch`.
struct StatusWatch {
  let places: [MountPlace]

  /// Seconds between two looks.
  static let interval = 1.0

  /// Until the person quits (terminal), or until there is nothing left to wait for (no terminal).
  /// - Returns: the exit code for the last status seen.
  func run() throws -> ReelfsExit {
    isatty(STDOUT_FILENO) == 1 ? try draw() : try lines()
  }

  /// A line a second for logs and pipes, until all is synced or only failed recordings are left.
  private func lines() throws -> ReelfsExit {
    while true {
      let report = try StatusReport(places: places)
      for part in report.parts {
        let total = part.snapshot.overall.total
        Terminal.say("\(part.place.title): \(Badge(of: total).text) \(SummaryPage.safeSentence(part.snapshot.overall))")
      }
      let counts = report.parts.map(\.snapshot.overall.counts)
      if counts.allSatisfy({ $0.uploading == 0 && $0.paused == 0 }) { return report.exit }
      MonotonicSeconds.sleep(Self.interval)
    }
  }

  private func draw() throws -> ReelfsExit {
    // Order matters: the signals are let through only after the terminal has been put back.
    let signals = DeferredSignals()
    let keyboard = KeyboardInput()
    var meters = places.map { _ in PaceMeter() }
    var message = "p pause   r resume   t retry   q quit"
    Terminal.write("\u{1B}[2J", to: STDOUT_FILENO)
    while true {
      let report = try StatusReport(places: places)
      for index in meters.indices { meters[index].add(report.parts[index].snapshot) }
      show(report, meters, message)
      let end = MonotonicSeconds.now() + Self.interval
      while MonotonicSeconds.now() < end {
        if signals.isPending { return report.exit }
        // A quarter of a second at most, so that a signal is seen soon.
        let left = min(0.25, end - MonotonicSeconds.now())
        guard let keyboard else {
          MonotonicSeconds.sleep(left)
          continue
        }
        guard let key = keyboard.key(within: left) else { continue }
        if key == "q" { return report.exit }
        guard let answer = act(on: key) else { continue }
        message = answer
        break
      }
    }
  }

  /// Carries out a key.
  /// - Returns: what to show in the last line; nil for a key without meaning.
  private func act(on key: Character) -> String? {
    let done: String
    let request: (ControlTarget) -> ControlRequest
    switch key {
    case "p": (request, done) = (ControlRequest.pause, "paused (r resumes)")
    case "r": (request, done) = (ControlRequest.resume, "uploading again")
    case "t": (request, done) = ({ .processUploads($0, force: false) }, "trying again now")
    default: return nil
    }
    do {
      for place in places { try place.root.send(request(place.target)) }
      return done
    } catch {
      return "\(error)"
    }
  }

  /// Overwrites the screen line by line instead of clearing it, so that nothing flickers.
  private func show(_ report: StatusReport, _ meters: [PaceMeter], _ message: String) {
    let terminal = Terminal.current()
    let rows = max(4, terminal.rows ?? 24)
    let table = StatusTable(
      width: terminal.columns, usesColour: terminal.usesColour, rowsMax: max(1, rows / report.parts.count - 6))
    var lines: [String] = []
    for (part, meter) in zip(report.parts, meters) {
      if !lines.isEmpty { lines.append("") }
      let paces = meter.paces(part.snapshot.recordings)
      lines += table.lines(part.snapshot.overall, part.snapshot.recordings, title: part.place.title, paces: paces)
    }
    let shown = lines.prefix(rows - 2) + ["", DisplayWidth.cut(message, to: terminal.columns ?? 80)]
    Terminal.write("\u{1B}[H" + shown.joined(separator: "\u{1B}[K\r\n") + "\u{1B}[K\u{1B}[J", to: STDOUT_FILENO)
  }
}

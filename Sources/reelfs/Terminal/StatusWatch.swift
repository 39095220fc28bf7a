import Glibc
import SyncStatus

/// `reelfs status --watch`: draws on a terminal until the person quits; elsewhere writes a line a second.
struct StatusWatch {
  let places: [MountPlace]

  /// Seconds between two looks.
  static let interval = 1.0
  /// Seconds after which a signal or another size of the window is seen at the latest.
  private static let attention = 0.25

  /// - Returns: the exit code for the last status seen.
  func run() throws -> ReelfsExit {
    let terminal = Terminal.current()
    return terminal.canDraw ? try draw() : try lines()
  }

  /// For logs, pipes and dumb terminals, until all is synced or only failed recordings are left.
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
    var model = WatchModel(places: places)
    // A mount that does not answer at the start is a wrong call, not a state to be watched.
    for (part, place) in places.enumerated() { model.add(try place.snapshot(), to: part) }
    do {
      // Order matters: signals take effect only after keyboard and screen have been put back.
      let signals = DeferredSignals()
      let keyboard = KeyboardInput()
      Terminal.write(Screen.enter, to: STDOUT_FILENO)
      defer { Terminal.write(Screen.leave, to: STDOUT_FILENO) }
      watch(&model, keyboard, signals)
    }
    for line in model.farewell { Terminal.say(line) }
    return ReelfsExit(for: model.worst)
  }

  private func watch(_ model: inout WatchModel, _ keyboard: KeyboardInput?, _ signals: borrowing DeferredSignals) {
    var screen = Screen()
    while true {
      for (part, place) in places.enumerated() {
        do throws(CommandFailure) { model.add(try place.snapshot(), to: part) } catch {
          model.add(trouble: error.message, to: part)
        }
      }
      let end = MonotonicSeconds.now() + Self.interval
      repeat {
        show(&model, &screen)
        let left = max(0, min(Self.attention, end - MonotonicSeconds.now()))
        if keyboard == nil { MonotonicSeconds.sleep(left) }
        for key in keyboard?.keys(within: left) ?? [] {
          switch model.press(key) {
          case .none: break
          case .quit: return
          case .suspend: suspend(keyboard, &screen)
          case .send(let requests): model.message = send(requests) ?? model.message
          }
        }
        if signals.isPending { return }
      } while MonotonicSeconds.now() < end
    }
  }

  private func show(_ model: inout WatchModel, _ screen: inout Screen) {
    let terminal = Terminal.current()
    let (columns, rows) = (terminal.columns ?? 80, terminal.rows ?? 24)
    let lines = model.lines(columns: columns, rows: rows, usesColour: terminal.usesColour)
    let change = screen.change(to: lines, columns: columns, rows: rows)
    if !change.isEmpty { Terminal.write(change, to: STDOUT_FILENO) }
  }

  /// - Returns: what went wrong.
  private func send(_ requests: [WatchModel.Request]) -> String? {
    do throws(CommandFailure) {
      for request in requests { try places[request.part].root.send(request.request) }
      return nil
    } catch {
      return error.message
    }
  }

  /// Ctrl-Z: the shell gets its terminal as it was, and the table comes back with `fg`.
  private func suspend(_ keyboard: KeyboardInput?, _ screen: inout Screen) {
    Terminal.write(Screen.leave, to: STDOUT_FILENO)
    keyboard?.restore()
    kill(0, SIGSTOP)
    keyboard?.resume()
    Terminal.write(Screen.enter, to: STDOUT_FILENO)
    screen.forget()
  }
}

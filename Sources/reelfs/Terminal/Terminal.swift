import Glibc
import Synchronization

/// What standard output can show. Asked anew for each redraw: windows change.
package struct Terminal: Sendable, Equatable {
  /// Columns and rows; nil when the output is not a terminal.
  package var columns: Int?
  package var rows: Int?
  package var usesColour: Bool
  /// Whether the cursor can be moved: not where output goes to a file, nor on a dumb terminal.
  package var canDraw: Bool

  /// Reads `COLUMNS`, `NO_COLOR` and `TERM` from `environment`.
  package init(isTerminal: Bool, size: (columns: Int, rows: Int)?, environment: [String: String]) {
    guard isTerminal else {
      self.init(columns: nil, rows: nil, usesColour: false, canDraw: false)
      return
    }
    // A terminal that does not know its size is taken for the smallest that people still use.
    let told = environment["COLUMNS"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    let hasNoColor = !(environment["NO_COLOR"] ?? "").isEmpty
    self.init(
      columns: told ?? size?.columns ?? 80, rows: size?.rows ?? 24,
      usesColour: !hasNoColor && environment["TERM"] != "dumb", canDraw: environment["TERM"] != "dumb")
  }

  private init(columns: Int?, rows: Int?, usesColour: Bool, canDraw: Bool) {
    self.columns = columns
    self.rows = rows
    self.usesColour = usesColour
    self.canDraw = canDraw
  }

  static func current() -> Terminal {
    Terminal(
      isTerminal: isatty(STDOUT_FILENO) == 1, size: size(of: STDOUT_FILENO),
      environment: Environment.variables(["COLUMNS", "NO_COLOR", "TERM"]))
  }

  private static func size(of descriptor: Int32) -> (columns: Int, rows: Int)? {
    var window = winsize()
    let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0 && window.ws_col > 0 && window.ws_row > 0
    return isKnown ? (Int(window.ws_col), Int(window.ws_row)) : nil
  }

  static func columns(of descriptor: Int32) -> Int? { size(of: descriptor)?.columns }

  static func canDraw(on descriptor: Int32) -> Bool {
    isatty(descriptor) == 1 && Environment.variables(["TERM"])["TERM"] != "dumb"
  }

  /// Whether the terminal's keys go to this process now: it was not started with `&`, nor sent to the background.
  static func isInForeground(_ process: pid_t) -> Bool {
    let text = (try? SystemFiles.read("/proc/\(process)/stat", bytesMax: 4_096)).map { String(decoding: $0, as: UTF8.self) }
    // After the name, which may hold anything: state, parent, group, session, terminal, the terminal's group.
    let fields = text?.components(after: ")").split(separator: " ") ?? []
    return fields.count > 5 && fields[2] == fields[5]
  }

  // MARK: Writing

  /// Begins the present line anew, empty.
  static let lineStart = "\r\u{1B}[K"

  /// Set by a mount in the foreground: a progress line, of this process or of another one of the mount, may stand in the
  /// last line; and a terminal that was stopped (Ctrl-S) must not stop the uploads: what it does not take is dropped.
  static let isShared = Atomic(false)

  /// One line on standard output. Ends the program quietly when nobody reads any more.
  static func say(_ line: String) { writeLine(line, to: STDOUT_FILENO) }

  /// One line on standard error.
  static func complain(_ line: String) { writeLine(line, to: STDERR_FILENO) }

  private static func writeLine(_ line: String, to descriptor: Int32) {
    let clears = isShared.load(ordering: .relaxed) && canDraw(on: descriptor)
    write((clears ? lineStart : "") + line + "\n", to: descriptor)
  }

  /// Writes all of `text`; a closed pipe ends the program as SIGPIPE would.
  static func write(_ text: String, to descriptor: Int32) {
    if isShared.load(ordering: .relaxed), isatty(descriptor) == 1 {
      var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      guard poll(&wanted, 1, 0) > 0 else { return }
    }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        if errno == EPIPE { Glibc.exit(ReelfsExit.usageOrInternal.rawValue) }
        return
      }
      bytes = bytes.dropFirst(count)
    }
  }
}

extension String {
  /// What follows the last `mark`; empty without one.
  fileprivate func components(after mark: Character) -> Substring {
    lastIndex(of: mark).map { self[index(after: $0)...] } ?? ""
  }
}

enum Environment {
  /// The values of those of `names` that are set.
  static func variables(_ names: some Sequence<String>) -> [String: String] {
    var values: [String: String] = [:]
    for name in names {
      if let value = getenv(name) { values[name] = String(cString: value) }
    }
    return values
  }
}

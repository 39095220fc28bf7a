import Glibc

/// What standard output can show. Asked anew for each redraw: windows change.
package struct Terminal: Sendable, Equatable {
  /// Columns and rows; nil when the output is not a terminal.
  package var columns: Int?
  package var rows: Int?
  package var usesColour: Bool

  /// Reads `COLUMNS`, `NO_COLOR` and `TERM` from `environment`.
  package init(isTerminal: Bool, size: (columns: Int, rows: Int)?, environment: [String: String]) {
    guard isTerminal else {
      self.init(columns: nil, rows: nil, usesColour: false)
      return
    }
    // A terminal that does not know its size is taken for the smallest that people still use.
    let told = environment["COLUMNS"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    let hasNoColor = !(environment["NO_COLOR"] ?? "").isEmpty
    self.init(
      columns: told ?? size?.columns ?? 80, rows: size?.rows ?? 24,
      usesColour: !hasNoColor && environment["TERM"] != "dumb")
  }

  private init(columns: Int?, rows: Int?, usesColour: Bool) {
    self.columns = columns
    self.rows = rows
    self.usesColour = usesColour
  }

  static func current() -> Terminal {
    var window = winsize()
    let known = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0 && window.ws_col > 0 && window.ws_row > 0
    return Terminal(
      isTerminal: isatty(STDOUT_FILENO) == 1,
      size: known ? (Int(window.ws_col), Int(window.ws_row)) : nil,
      environment: Environment.variables(["COLUMNS", "NO_COLOR", "TERM"]))
  }

  /// One line on standard output. Ends the program quietly when nobody reads any more.
  static func say(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }

  /// One line on standard error.
  static func complain(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

  /// Writes all of `text`; a closed pipe ends the program as SIGPIPE would.
  static func write(_ text: String, to descriptor: Int32) {
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

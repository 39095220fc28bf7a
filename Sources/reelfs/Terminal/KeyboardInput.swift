import Glibc

/// Single keys from the terminal, without echo. The terminal is put back by `restore`, at the latest when this value goes
/// away.
final class KeyboardInput {
  private let original: termios
  private var raw: termios
  /// Pasted text and held keys arrive in one read; a line's worth is plenty.
  private static let bytesMax = 256

  /// nil when standard input is not a terminal.
  init?() {
    var settings = termios()
    guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
    original = settings
    // ISIG off: Ctrl-C comes as a key, so that the terminal is always put back.
    settings.c_lflag &= ~UInt32(ICANON | ECHO | ISIG)
    raw = settings
    guard tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0 else { return nil }
  }

  deinit { restore() }

  func restore() {
    var settings = original
    tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }

  /// Takes the terminal again after `restore`.
  func resume() { tcsetattr(STDIN_FILENO, TCSANOW, &raw) }

  /// The keys pressed within `seconds`; returns at the first. A closed terminal counts as quit.
  func keys(within seconds: Double) -> [Key] {
    var wanted = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    guard poll(&wanted, 1, Int32(max(0, seconds) * 1_000)) > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: Self.bytesMax)
    let count = read(STDIN_FILENO, &bytes, bytes.count)
    guard count > 0 else { return count < 0 && errno == EINTR ? [] : [.quit] }
    return Key.parse(Array(bytes[..<count]))
  }
}

/// Keeps the signals that would end or stop this process back, so that the loop can put the terminal back before they take
/// effect: they do when this value goes away.
struct DeferredSignals: ~Copyable {
  private let previous: sigset_t
  private static let held = [SIGINT, SIGQUIT, SIGTERM, SIGHUP]

  init() {
    var held = sigset_t()
    var before = sigset_t()
    sigemptyset(&held)
    for signal in Self.held { sigaddset(&held, signal) }
    pthread_sigmask(SIG_BLOCK, &held, &before)
    previous = before
  }

  deinit {
    var before = previous
    pthread_sigmask(SIG_SETMASK, &before, nil)
  }

  var isPending: Bool {
    var pending = sigset_t()
    sigpending(&pending)
    return Self.held.contains { sigismember(&pending, $0) == 1 }
  }
}

import Glibc

/// Single keys from the terminal, without echo. The terminal is put back when this value goes away.
final class KeyboardInput {
  private let original: termios

  /// nil when standard input is not a terminal.
  init?() {
    var settings = termios()
    guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
    original = settings
    // ISIG off: Ctrl-C comes as a key, so that the terminal is always put back.
    settings.c_lflag &= ~UInt32(ICANON | ECHO | ISIG)
    guard tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0 else { return nil }
  }

  deinit {
    var settings = original
    tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }

  /// The next key, or nil when none came within `seconds`. A closed terminal counts as `q`.
  func key(within seconds: Double) -> Character? {
    var wanted = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    guard poll(&wanted, 1, Int32(max(0, seconds) * 1_000)) > 0 else { return nil }
    var byte: UInt8 = 0
    guard read(STDIN_FILENO, &byte, 1) == 1 else { return "q" }
    // Ctrl-C, Ctrl-D, Ctrl-\ and Escape all mean quit.
    return [3, 4, 28, 27].contains(byte) ? "q" : Character(Unicode.Scalar(byte))
  }
}

/// Keeps SIGTERM and SIGHUP back, so that the loop can end and put the terminal back before they take effect.
struct DeferredSignals: ~Copyable {
  private let previous: sigset_t

  init() {
    var held = sigset_t()
    var before = sigset_t()
    sigemptyset(&held)
    for signal in [SIGTERM, SIGHUP] { sigaddset(&held, signal) }
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
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGHUP) == 1
  }
}

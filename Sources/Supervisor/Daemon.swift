internal import CLinux
internal import Glibc
public import SystemPackage

/// `--daemon`: the same program again, detached, while the command the user typed waits until the mount is usable or has
/// failed. (Not fork(2): a Swift process may have threads that would be missing in the copy.)
public enum Daemon {
  /// In the detached process: where it tells how it went.
  public static let messages = FileDescriptor(rawValue: 3)

  public enum Outcome: Sendable, Equatable {
    case ready
    /// With what the detached process had to say.
    case failed(String)
  }

  /// Starts this program detached, with `arguments` and without a terminal, and waits for its word.
  /// - Parameter output: where its standard output and standard error go, such as a log file or /dev/null.
  public static func start(arguments: [String], output: FileDescriptor) -> Outcome {
    let program: Program
    do throws(Errno) { program = try Program.current() } catch { return .failed("finding this program: \(error)") }
    defer { program.close() }
    var pipe: [CInt] = [0, 0]
    guard clinux_pipe_cloexec(&pipe) == 0 else { return .failed("making a pipe: \(Errno(rawValue: errno))") }
    defer { close(pipe[0]) }
    let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(nothing) }
    let inherited = [
      Inherited(nothing, as: 0), Inherited(output.rawValue, as: 1), Inherited(output.rawValue, as: 2),
      Inherited(pipe[1], as: messages.rawValue),
    ]
    let result = spawn(
      program.executable, name: program.path, arguments, environment: [], inherited: inherited, newSession: true)
    close(pipe[1])
    if case .failure(let error) = result { return .failed("starting \(program.path): \(error)") }
    return outcome(pipe[0])
  }

  /// In the detached process: the mount is usable. The waiting command ends with success.
  public static func announceReady() { tell("ready\n") }

  /// In the detached process: it failed. The waiting command prints `message`.
  public static func announceFailure(_ message: String) { tell(message) }

  private static func tell(_ text: String) {
    _ = try? messages.writeAll(text.utf8)
    try? messages.close()
  }

  private static func outcome(_ pipe: CInt) -> Outcome {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while bytes.count < 1 << 16 {
      let count = read(pipe, &part, part.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      bytes += part[..<count]
      if bytes == Array("ready\n".utf8) { return .ready }
    }
    let message = String(decoding: bytes, as: UTF8.self)
    return .failed(message.isEmpty ? "it ended without a word; look into its log" : message)
  }
}

internal import CLinux
internal import Glibc
internal import SystemPackage

/// Another program, run to its end: a hook of the user's, or a tool of the system. Any thread; it blocks.
public struct ToolCommand: Sendable {
  /// The program, looked up in PATH, and its arguments. No shell sees them.
  public let words: [String]
  /// `NAME=value`, beside this process's own variables.
  public let environment: [String]

  public enum Ending: Sendable, Equatable {
    case exited(Int32)
    case killed(signal: Int32)
    /// It and what it started were killed.
    case timedOut
    case notStarted(String)
  }

  /// - Parameter words: not empty.
  public init(_ words: [String], environment: [String] = []) {
    precondition(!words.isEmpty, "a command has a program")
    self.words = words
    self.environment = environment
  }

  /// Of what a tool prints, more than a program's log has in its last thousands of lines.
  public static let outputMax = 16 << 20

  /// Runs it with an empty input, what it prints going where this process's errors go.
  public func run(secondsMax: Double) -> Ending { run(printingTo: 2, secondsMax) }

  /// Runs it and takes what it prints, up to `outputMax`: it cannot print more.
  /// - Returns: nil unless it ended with exit code 0.
  public func output(secondsMax: Double) -> String? {
    // Not a pipe: one that nobody reads meanwhile fills up, and the tool waits.
    let file = clinux_memfd_bounded("reelfs-output", Self.outputMax)
    guard file >= 0 else { return nil }
    defer { close(file) }
    guard run(printingTo: file, secondsMax) == .exited(0) else { return nil }
    // The tool had this descriptor, and its offset with it.
    let bytes = [UInt8](unsafeUninitializedCapacity: max(0, Int(lseek(file, 0, SEEK_CUR)))) { buffer, count in
      count = max(0, pread(file, buffer.baseAddress, buffer.count, 0))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func run(printingTo output: CInt, _ secondsMax: Double) -> Ending {
    let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(input) }
    let result = spawn(
      words[0], name: words[0], Array(words.dropFirst()), environment: environment,
      inherited: [Inherited(input, as: 0), Inherited(output, as: 1), Inherited(2, as: 2)], newSession: false)
    switch result {
    case .failure(let error): return .notStarted("\(error)")
    case .success(let process): return wait(for: process, secondsMax)
    }
  }

  private func wait(for process: pid_t, _ secondsMax: Double) -> Ending {
    let ending = clinux_pidfd_open(process)
    defer { close(ending) }
    let end = ContinuousClock.now + .seconds(secondsMax)
    var isLate = false
    while true {
      let left = ContinuousClock.now.duration(to: end)
      var watched = pollfd(fd: ending, events: Int16(POLLIN), revents: 0)
      let milliseconds = left.components.seconds * 1_000 + left.components.attoseconds / 1_000_000_000_000_000 + 1
      let count = poll(&watched, 1, isLate ? -1 : CInt(clamping: max(0, milliseconds)))
      if count > 0 { break }
      if count == 0 {
        // Its process group, so that what it started ends with it.
        kill(-process, SIGKILL)
        isLate = true
      }
    }
    var status: CInt = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    if isLate { return .timedOut }
    switch Death(status: status) {
    case .exited(let code): return .exited(code)
    case .killed(let signal): return .killed(signal: signal)
    }
  }
}

extension ToolCommand.Ending: CustomStringConvertible {
  public var description: String {
    switch self {
    case .exited(let code): "ended with exit code \(code)"
    case .killed(let signal): "was ended by signal \(signal)"
    case .timedOut: "took too long and was killed"
    case .notStarted(let reason): "could not be started: \(reason)"
    }
  }
}

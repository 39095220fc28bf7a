internal import CLinux
internal import Fuse
internal import Glibc
internal import SystemPackage

/// A child and its life so far. Used by the supervisor's one thread.
struct RunningChild {
  let child: ChildProcess
  var policy: RestartPolicy
  /// 0 while it does not run.
  private(set) var process: pid_t = 0
  /// Becomes readable when the process ends.
  private(set) var ending: CInt = -1
  /// Carries "ready\n"; -1 once read.
  private(set) var readiness: CInt = -1
  private(set) var startedAt = 0.0
  private(set) var readyAt: Double?
  /// The death that was told as one of many; nil while it lives as it should.
  var toldAgain: Death?
  private(set) var hasEverBeenReady = false
  /// It did not do what it must, and was killed for that by its supervisor.
  private(set) var wasReplaced = false
  /// When to start it again.
  var restartAt: Double?

  init(_ child: ChildProcess) {
    self.child = child
    self.policy = child.policy
  }

  var isRunning: Bool { process != 0 }

  /// What somebody may connect to, to have it started; nil while it runs, is about to, or runs all the time.
  var awaited: CInt? {
    guard case .onDemand(let listener) = child.role, !isRunning, restartAt == nil else { return nil }
    return listener.rawValue
  }

  /// Whether it runs only when somebody needs it.
  var isOnDemand: Bool { if case .onDemand = child.role { true } else { false } }

  /// - Parameter isTied: it must not outlive this process.
  mutating func start(
    _ program: Program, device: FileDescriptor, state: FileDescriptor, isTied: Bool, now: Double
  ) -> Errno? {
    restartAt = nil
    startedAt = now
    var pipe: [CInt] = [0, 0]
    guard clinux_pipe_cloexec(&pipe) == 0 else { return Errno(rawValue: errno) }
    var inherited = [Inherited(pipe[1], as: Worker.readiness.rawValue)]
    switch child.role {
    case .worker:
      inherited.append(Inherited(device.rawValue, as: Worker.device.rawValue))
      inherited.append(Inherited(state.rawValue, as: Worker.state.rawValue))
    case .helper: break
    case .onDemand(let listener): inherited.append(Inherited(listener.rawValue, as: Worker.listener.rawValue))
    }
    let result = spawn(
      program.executable, name: program.path, child.arguments, environment: Self.environment(isTied: isTied), inherited: inherited,
      newSession: false)
    close(pipe[1])
    switch result {
    case .failure(let error):
      close(pipe[0])
      return error
    case .success(let process):
      self.process = process
      readiness = pipe[0]
      readyAt = nil
      wasReplaced = false
      ending = clinux_pidfd_open(process)
      return nil
    }
  }

  /// Swift's report of a crash takes seconds, in which every writer would wait; it can be had by setting the variable.
  private static func environment(isTied: Bool) -> [String] {
    (getenv("SWIFT_BACKTRACE") == nil ? ["SWIFT_BACKTRACE=enable=no"] : [])
      + (isTied ? ["\(Worker.supervisorVariable)=\(getpid())"] : [])
  }

  /// Reads what the child says of its readiness. - Returns: whether it is ready now, and whether for the first time.
  mutating func readReadiness(now: Double) -> (isReady: Bool, isFirst: Bool) {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(readiness, &bytes, bytes.count)
    if count < 0, errno == EINTR { return (false, false) }
    close(readiness)
    readiness = -1
    guard count > 0, String(decoding: bytes[..<count], as: UTF8.self).hasPrefix("ready") else { return (false, false) }
    readyAt = now
    defer { hasEverBeenReady = true }
    return (true, !hasEverBeenReady)
  }

  /// After `ending` became readable. - Returns: how it ended, nil if it has not.
  mutating func reap() -> Death? {
    var status: CInt = 0
    guard waitpid(process, &status, WNOHANG) == process else { return nil }
    close(ending)
    if readiness >= 0 { close(readiness) }
    (process, ending, readiness) = (0, -1, -1)
    return Death(status: status)
  }

  func signal(_ signal: CInt) {
    if isRunning { kill(process, signal) }
  }

  /// Kills it for hanging, which is a death of itself.
  mutating func replace() {
    wasReplaced = true
    signal(SIGKILL)
  }
}

/// How a child ended.
enum Death: Equatable, CustomStringConvertible {
  case exited(Int32)
  case killed(signal: Int32)

  init(status: CInt) {
    var code: CInt = 0
    self = clinux_wait_status(status, &code) == 1 ? .exited(code) : .killed(signal: code)
  }

  var cause: RestartPolicy.Cause { self == .killed(signal: SIGKILL) ? .killedFromOutside : .ofItself }

  var exitCode: Int32 {
    switch self {
    case .exited(let code): code
    // As the shell says it.
    case .killed(let signal): 128 + signal
    }
  }

  var description: String {
    switch self {
    case .exited(let code): "ended with exit code \(code)"
    case .killed(let signal): "was ended by signal \(signal) (\(String(cString: strsignal(signal))))"
    }
  }
}

internal import CLinux
public import Fuse
internal import Glibc
public import SystemPackage

/// The worker's side of the agreement with the supervisor.
public enum Worker {
  /// `/dev/fuse`, mounted.
  public static let device = FileDescriptor(rawValue: 3)
  /// For `SharedState(descriptor:)`.
  public static let state = FileDescriptor(rawValue: 4)
  /// A pipe that carries "ready\n" to the supervisor.
  public static let readiness = FileDescriptor(rawValue: 5)
  /// Of a child that is started on demand: the listening socket.
  public static let listener = FileDescriptor(rawValue: 3)
  /// "Start my successor": the worker was asked to stop and has answered what it had in hand. (EX_TEMPFAIL)
  public static let restartExitCode: Int32 = 75

  /// In the environment: the supervisor's process id, if this process must not outlive it.
  static let supervisorVariable = "REELFS_DIES_WITH"

  /// Has this process killed when its supervisor dies, if the supervisor wants that. Where a service manager keeps the
  /// mount, the next supervisor brings its own worker, and two must not serve at the same time.
  public static func dieWithSupervisor() {
    if let value = getenv(supervisorVariable), let supervisor = pid_t(String(cString: value)) {
      precondition(clinux_die_with(supervisor) == 0, "the system gives a thread to a process that starts")
    }
  }

  /// Has this process killed when its supervisor dies, whoever runs that: for helpers that are of no use without it.
  public static func dieWithParent() { _ = clinux_die_with(getppid()) }

  /// Takes over the inherited descriptors and signals. Call it first, before other threads exist.
  public static func begin() {
    signal(SIGPIPE, SIG_IGN)
    clinux_limit_arenas()
    for descriptor in [device, state, readiness] {
      let flags = fcntl(descriptor.rawValue, F_GETFD)
      if flags >= 0 { _ = fcntl(descriptor.rawValue, F_SETFD, flags | FD_CLOEXEC) }
    }
    // Its own thread waits for them (`serve`); no other may be hit.
    _ = WorkerSignals.descriptor
    dieWithSupervisor()
  }

  /// Tells the supervisor that the mount is usable, or that a helper does its work.
  public static func announceReady() {
    _ = try? readiness.writeAll("ready\n".utf8)
    try? readiness.close()
  }

  /// Serves `session` until the mount is gone or a successor takes over, and meanwhile obeys signals: SIGUSR1 asks to
  /// hand over, SIGHUP calls `hangup`, SIGTERM and SIGINT call `terminate` (the supervisor unmounts, which ends the
  /// session; without a supervisor the worker unmounts `mountpoint` itself). When the supervisor asks (SIGUSR2) and
  /// `isAlive` says so, it is shown that this worker is alive. All are called on a thread of their own.
  /// - Returns: the exit code: 0, or `restartExitCode`.
  public static func serve(
    _ session: Session, mountpoint: String, hangup: @escaping @Sendable () -> Void = {},
    terminate: @escaping @Sendable () -> Void = {}, isAlive: @escaping @Sendable () -> Bool = { true }
  ) throws(SessionError) -> Int32 {
    WorkerSignals.start(session, mountpoint: mountpoint, hangup: hangup, terminate: terminate, isAlive: isAlive)
    announceReady()
    switch try session.run() {
    case .unmounted: return 0
    case .stopped: return restartExitCode
    }
  }
}

public import SystemPackage

/// What the supervisor keeps running: this program again, with other arguments.
public struct ChildProcess: Sendable {
  public enum Role: Sendable, Equatable {
    /// Serves the mount. It gets `Worker.device`, `Worker.state` and `Worker.readiness`; the mount ends with it.
    case worker
    /// Gets `Worker.readiness` only; it is ended after the worker.
    case helper
    /// A helper that is started when somebody connects to `listener`, a socket that listens, and gets that as
    /// `Worker.listener`. It may end by itself with 0; the next connection starts it again.
    case onDemand(listener: FileDescriptor)
  }

  /// For messages.
  public var name: String
  public var role: Role
  /// Without the program's name.
  public var arguments: [String]
  public var policy: RestartPolicy

  public init(name: String, role: Role, arguments: [String], policy: RestartPolicy) {
    self.name = name
    self.role = role
    self.arguments = arguments
    self.policy = policy
  }
}

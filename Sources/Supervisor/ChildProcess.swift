/// What the supervisor keeps running: this program again, with other arguments.
public struct ChildProcess: Sendable {
  public enum Role: Sendable, Equatable {
    /// Serves the mount. It gets `Worker.device`, `Worker.state` and `Worker.readiness`; the mount ends with it.
    case worker
    /// Gets `Worker.readiness` only; it is ended after the worker.
    case helper
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

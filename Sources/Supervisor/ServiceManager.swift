internal import CLinux
public import Fuse
internal import Glibc
internal import SystemPackage

/// The service manager that started this process, if one did (systemd's protocol, sd_notify(3)): it is told how the mount
/// is, and keeps the descriptors that a mount lives by, so that the mount outlives even the supervisor.
///
/// Used by the supervisor's one thread.
public final class ServiceManager {
  /// It ends this service when it hears nothing for so long; nil: it does not look.
  public let watchdogSeconds: Double?
  /// Whether it will give kept descriptors back: it started this very process, not a shell or a terminal around it.
  package let keepsDescriptors: Bool
  private let socket: String
  private var given: [String: CInt]

  /// Reads what the manager left in the environment and takes it out of there: children are not the service. Call it
  /// once, before other threads exist.
  /// - Returns: nil without a service manager.
  public static func current() -> ServiceManager? {
    let names = [
      "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "SYSTEMD_EXEC_PID",
    ]
    var environment: [String: String] = [:]
    for name in names {
      if let value = getenv(name) { environment[name] = String(cString: value) }
      unsetenv(name)
    }
    return ServiceManager(environment: environment, process: getpid())
  }

  package init?(environment: [String: String], process: Int32) {
    guard let socket = environment["NOTIFY_SOCKET"], socket.hasPrefix("/") || socket.hasPrefix("@") else { return nil }
    self.socket = socket
    func isMeant(_ name: String) -> Bool { environment[name].map { Int32($0) == process } ?? true }
    keepsDescriptors = isMeant("SYSTEMD_EXEC_PID") && isMeant("LISTEN_PID")
    let microseconds = environment["WATCHDOG_USEC"].flatMap { UInt64($0) } ?? 0
    watchdogSeconds = microseconds > 0 && isMeant("WATCHDOG_PID") ? Double(microseconds) / 1e6 : nil
    given = [:]
    guard environment["LISTEN_PID"] != nil, keepsDescriptors else { return }
    let count = environment["LISTEN_FDS"].flatMap { CInt($0) } ?? 0
    let given = environment["LISTEN_FDNAMES"]?.split(separator: ":", omittingEmptySubsequences: false) ?? []
    for (index, name) in given.prefix(Int(max(0, count))).enumerated() {
      let descriptor = Self.firstGiven + CInt(index)
      guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { continue }
      self.given[String(name)] = descriptor
    }
  }

  /// SD_LISTEN_FDS_START.
  private static let firstGiven: CInt = 3

  // MARK: Telling

  /// Sends assignments such as `READY=1`. Nobody listening is no error: the mount does not depend on it.
  /// - Returns: whether it was sent.
  @discardableResult
  func tell(_ assignments: String..., descriptor: FileDescriptor? = nil) -> Bool {
    Self.send(assignments, to: socket, descriptor: descriptor)
  }

  private static func send(_ assignments: [String], to socket: String, descriptor: FileDescriptor?) -> Bool {
    // One line each: what is said to people may hold a line end.
    let text = assignments.map { $0.split(separator: "\n").joined(separator: " ") }.joined(separator: "\n")
    return clinux_notify(socket, text, text.utf8.count, descriptor?.rawValue ?? -1) == 0
  }

  /// For a service that is no mount: says that it can be used now, with a sentence for people. On any thread.
  public var announceReady: @Sendable (String) -> Void {
    { [socket] status in _ = Self.send(["READY=1", "STATUS=\(status)"], to: socket, descriptor: nil) }
  }

  // MARK: Keeping a mount

  private enum Name {
    static let device = "reelfs-device"
    static let state = "reelfs-state"
  }

  /// Has the manager keep what `mount` lives by. (It does if the unit says `FileDescriptorStoreMax=2` or more.)
  public func keep(_ mount: FuseMount, _ state: SharedState) {
    state.mountDevice = MountTable.read().mount(at: mount.path)?.device ?? 0
    guard keepsDescriptors else { return }
    // FDPOLL=0: an unmounted device reports an error, and is ours to give up.
    tell("FDSTORE=1", "FDNAME=\(Name.device)", "FDPOLL=0", descriptor: mount.device)
    tell("FDSTORE=1", "FDNAME=\(Name.state)", "FDPOLL=0", descriptor: state.descriptor)
  }

  /// The mount has ended: nothing is to be kept.
  func forget() {
    guard keepsDescriptors else { return }
    tell("FDSTOREREMOVE=1", "FDNAME=\(Name.device)")
    tell("FDSTOREREMOVE=1", "FDNAME=\(Name.state)")
  }

  /// The mount that an earlier supervisor left, if it is still there, at `mountpoint`. What is of no use is given up.
  /// Nothing here touches the mount itself: nobody serves it yet, so whoever asks it for anything waits.
  /// - Parameter say: is given a sentence for the user about what was done.
  public func continued(at mountpoint: String, say: (String) -> Void) -> (mount: FuseMount, state: SharedState)? {
    let (device, memory) = (given.removeValue(forKey: Name.device), given.removeValue(forKey: Name.state))
    guard device != nil || memory != nil else { return nil }
    if let device, let memory, let state = try? SharedState(descriptor: FileDescriptor(rawValue: memory)),
      state.mountDevice != 0
    {
      let mount = FuseMount(device: FileDescriptor(rawValue: device), path: Self.resolved(mountpoint))
      let table = MountTable.read()
      if mount.isConnected, table.mount(at: mount.path)?.device == state.mountDevice {
        say("going on with the mount at \(mount.path), which outlived its supervisor")
        return (mount, state)
      }
      // The unit was changed meanwhile: nobody serves the old place any more.
      if mount.isConnected, let old = table.entries.last(where: { $0.device == state.mountDevice }) {
        say("detaching the mount at \(old.mountpoint): this service mounts at \(mount.path) now")
        try? FuseMount.unmount(old.mountpoint, .lazily)
      }
    }
    forget()
    for descriptor in [device, memory] { if let descriptor { close(descriptor) } }
    return nil
  }

  /// With a slash at its end, the mount itself would be asked for its permissions.
  private static func resolved(_ mountpoint: String) -> String {
    var path = mountpoint[...]
    while path.count > 1, path.last == "/" { path.removeLast() }
    return FuseMount.absolute(String(path))
  }
}

import Foundation
import Glibc
import TestSupport
import Supervisor
import Testing

@Suite struct ServiceManagerEnvironmentTests {
  private func manager(_ environment: [String: String]) -> ServiceManager? {
    ServiceManager(environment: environment.merging(["NOTIFY_SOCKET": "/run/it"]) { $1 }, process: 7)
  }

  @Test("without a socket that can be one there is no service manager")
  func none() {
    #expect(ServiceManager(environment: [:], process: 7) == nil)
    #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "vsock:2:1"], process: 7) == nil)
    #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "@name"], process: 7) != nil)
  }

  @Test("the watchdog is this process's only if it is meant")
  func watchdog() {
    #expect(manager(["WATCHDOG_USEC": "30000000"])?.watchdogSeconds == 30)
    #expect(manager(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"])?.watchdogSeconds == 30)
    #expect(manager(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"])?.watchdogSeconds == nil)
    #expect(manager(["WATCHDOG_USEC": "0"])?.watchdogSeconds == nil)
    #expect(manager(["WATCHDOG_USEC": "soon"])?.watchdogSeconds == nil)
  }

  @Test("a manager that started a shell around this process gives nothing back, so nothing is kept there")
  func keeps() {
    #expect(manager([:])?.keepsDescriptors == true)
    #expect(manager(["SYSTEMD_EXEC_PID": "7"])?.keepsDescriptors == true)
    #expect(manager(["SYSTEMD_EXEC_PID": "6"])?.keepsDescriptors == false)
    #expect(manager(["LISTEN_PID": "6", "LISTEN_FDS": "1"])?.keepsDescriptors == false)
  }
}

/// The supervisor as a service: its manager keeps the mount over its death.
@Suite(.serialized, .enabled(if: ProbeMount.isPossible, "/dev/fuse is missing or forbidden"), .timeLimit(.minutes(2)))
struct ServiceManagerTests {
  /// A folder with a manager, in which the probe runs as a service.
  private struct Service {
    let folder: String
    let manager: FakeServiceManager
    var log: String { folder + "/log" }
    var said: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
    var mountpoint: String { folder + "/mnt" }

    init(isAbstract: Bool = false, watchdogSeconds: Double? = nil) throws {
      var template = Array("/tmp/fuse-probe-XXXXXX".utf8CString)
      try #require(mkdtemp(&template) != nil)
      folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      manager = try FakeServiceManager(
        socketName: isAbstract ? "@" + folder : folder + "/notify", watchdogSeconds: watchdogSeconds)
      mkdir(mountpoint, 0o755)
    }

    /// - Returns: when the service has said once more that it is ready.
    func start(at mountpoint: String? = nil) throws {
      let ready = manager.count(of: "READY=1")
      try manager.start([ProbeMount.program, "mount", folder + "/back", mountpoint ?? self.mountpoint], output: log)
      try eventually("the service is ready: \(said) \(manager.messages)") { manager.count(of: "READY=1") > ready }
    }

    var worker: pid_t? {
      let children = try? String(contentsOfFile: "/proc/\(manager.process)/task/\(manager.process)/children", encoding: .utf8)
      return children?.split(separator: " ").first.flatMap { pid_t($0) }
    }

    /// Not of the mountpoint's own folder.
    func device() -> dev_t {
      var facts = stat()
      return stat(mountpoint, &facts) == 0 ? facts.st_dev : 0
    }

    func remove() {
      manager.giveUp()
      for name in ["/mnt", "/other"] { run("/bin/umount", "-l", folder + name) }
      if rmdir(mountpoint) == 0 || errno == ENOENT { try? FileManager.default.removeItem(atPath: folder) }
    }
  }

  @Test("SIGKILL of the supervisor, again and again: the writer sees no error and no byte is lost", arguments: [false, true])
  func supervisorKilled(isAbstract: Bool) throws {
    let service = try Service(isAbstract: isAbstract)
    defer { service.remove() }
    try service.start()
    #expect(service.manager.keptNames == ["reelfs-device", "reelfs-state"])
    #expect(service.manager.count(of: "MAINPID=\(service.manager.process)") == 1)
    #expect(service.manager.count(of: "STATUS=serving \(service.mountpoint)") == 1)
    let device = service.device()
    let writer = try OutsideWriter(path: service.mountpoint + "/recording", folder: service.folder)

    for _ in 0..<5 {
      let before = writer.count
      try eventually("the writer writes") { writer.count > before }
      // The moment is what is tested: any will do.
      usleep(.random(in: 0...200_000))
      let worker = service.worker
      service.manager.send(SIGKILL)
      #expect(try service.manager.waitForEnd() == 128 + SIGKILL)
      if let worker { try eventually("the worker dies with it") { kill(worker, 0) != 0 } }
      try service.start()
      #expect(service.said.contains("going on with the mount at"))
    }
    try writer.stop()

    let truth = try Data(contentsOf: URL(fileURLWithPath: writer.truth))
    // Not compared in the expectation, which would print megabytes.
    let isSameInMount = try Data(contentsOf: URL(fileURLWithPath: service.mountpoint + "/recording")) == truth
    let isSameBehind = try Data(contentsOf: URL(fileURLWithPath: service.folder + "/back/tree/recording")) == truth
    #expect(isSameInMount && isSameBehind)
    #expect(service.device() == device, "it is the same mount")

    service.manager.send(SIGTERM)
    #expect(try service.manager.waitForEnd() == 0)
    try eventually("nothing is kept any more") { service.manager.keptNames == [] }
    #expect(service.manager.count(of: "STOPPING=1") == 1)
    #expect(rmdir(service.mountpoint) == 0, "nothing is mounted there any more")
  }

  @Test("a mount that is gone when the service starts again is made anew, and the dead one is given up")
  func unmountedMeanwhile() throws {
    let service = try Service()
    defer { service.remove() }
    try service.start()
    service.manager.send(SIGKILL)
    #expect(try service.manager.waitForEnd() == 128 + SIGKILL)
    #expect(run("/bin/umount", "-l", service.mountpoint).code == 0)

    try service.start()
    #expect(FileManager.default.createFile(atPath: service.mountpoint + "/file", contents: Data("new".utf8)))
    #expect(FileManager.default.contents(atPath: service.folder + "/back/tree/file") == Data("new".utf8))
    #expect(service.manager.keptNames == ["reelfs-device", "reelfs-state"])
  }

  @Test("a service that mounts elsewhere after its death detaches the old mount")
  func movedMeanwhile() throws {
    let service = try Service()
    defer { service.remove() }
    try service.start()
    service.manager.send(SIGKILL)
    #expect(try service.manager.waitForEnd() == 128 + SIGKILL)

    let other = service.folder + "/other"
    mkdir(other, 0o755)
    try service.start(at: other)
    #expect(service.said.contains("detaching the mount at \(service.mountpoint)"))
    #expect(rmdir(service.mountpoint) == 0, "nothing is mounted there any more")
    #expect(FileManager.default.createFile(atPath: other + "/file", contents: nil))
  }

  @Test("a worker that hangs is replaced, and only then the watchdog is fed again; its caller sees no error")
  func hangingWorker() throws {
    // Long enough for a machine that is busy with other tests.
    let service = try Service(watchdogSeconds: 8)
    defer { service.remove() }
    try service.start()
    try eventually("the watchdog is fed") { service.manager.count(of: "WATCHDOG=1") >= 2 }
    #expect(!service.said.contains("no sign of life"))

    let worker = try #require(service.worker)
    kill(worker, SIGSTOP)
    // A thread that has a request in hand just then answers it first.
    try eventually("all of it stands still") { try Self.isStopped(worker) }
    // Waits in the hanging worker, and then is the next one's.
    #expect(mkdir(service.mountpoint + "/made", 0o755) == 0)

    #expect(service.said.contains("the worker shows no sign of life and is replaced"))
    #expect(service.worker != worker)
    let fed = service.manager.count(of: "WATCHDOG=1")
    try eventually("the watchdog is fed again") { service.manager.count(of: "WATCHDOG=1") > fed }
    #expect(service.manager.messages.last { $0.hasPrefix("STATUS=") } == "STATUS=serving \(service.mountpoint)")
  }

  /// Every thread, by the state that proc_pid_stat(5) gives after the name.
  private static func isStopped(_ process: pid_t) throws -> Bool {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").allSatisfy { thread in
      let stat = try String(contentsOfFile: "/proc/\(process)/task/\(thread)/stat", encoding: .utf8)
      return stat.split(separator: ")").last?.hasPrefix(" T") == true
    }
  }
}

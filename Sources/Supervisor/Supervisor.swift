internal import CLinux
public import Fuse
internal import Glibc
public import SystemPackage

/// Keeps a mount served: holds its descriptor, starts the worker and its helpers, and replaces what dies. It keeps no
/// other state, so that there is nothing in it to fail; if it is killed, the worker goes on serving.
///
/// One thread, which waits in poll(2) for signals, for the ends of children and for deadlines; call `run` before other
/// threads exist, as signals must be blocked in all of them.
public final class Supervisor {
  public struct Settings {
    /// Where the recordings lie as plain files, for the message when the worker is given up.
    public var recordings: String
    /// Seconds for the worker to end after the mount was detached, with files still open in it; then it is killed.
    public var stopSeconds = 10.0
    /// Seconds for a worker to answer what it has in hand before a planned restart; then it is killed, which costs
    /// nothing but is not as gentle.
    public var handoverSeconds = 30.0
    /// Who started this service; nil: nobody who wants to hear of it.
    public var service: ServiceManager?
    /// Given sentences for the user.
    public var say: (String) -> Void
    /// Called once: the mount is usable.
    public var becameReady: () -> Void

    public init(recordings: String, say: @escaping (String) -> Void, becameReady: @escaping () -> Void) {
      self.recordings = recordings
      self.say = say
      self.becameReady = becameReady
    }
  }

  private let mount: FuseMount
  private let state: SharedState
  private let settings: Settings
  private var program: Program
  private var children: [RunningChild]
  private var phase = Phase.serving
  private var unmounting: Unmounting?
  private var unmounted = false
  private var handoverUntil: Double?
  private var watch: WorkerWatch?
  private var refusalsSeen: UInt64

  private enum Phase {
    case serving
    /// Until the worker has ended; `code` is the exit code if there is no worker to give one.
    case stopping(until: Double, code: Int32)
    /// Until the helpers have ended.
    case ending(until: Double, code: Int32)
  }

  /// - Throws: what the system says when this program's own file cannot be found.
  public init(
    mount: FuseMount, state: SharedState, children: [ChildProcess], settings: Settings
  ) throws(Errno) {
    precondition(children.count { $0.role == .worker } == 1, "a mount has one worker")
    self.mount = mount
    self.state = state
    self.settings = settings
    self.children = children.map { RunningChild($0) }
    self.refusalsSeen = state.refusals
    self.program = try Program.current()
  }

  /// Supervises until the mount is gone. - Returns: the exit code for this process.
  public func run() -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    let handled = [SIGTERM, SIGINT, SIGHUP, SIGUSR2]
    let signals = clinux_signal_descriptor(handled, CInt(handled.count))
    defer { close(signals) }
    watch = settings.service?.watchdogSeconds.map { WorkerWatch(watchdogSeconds: $0, now: now()) }
    for index in children.indices where !children[index].isOnDemand { start(index) }
    while true {
      if case .ending(_, let code) = phase, !children.contains(where: \.isRunning) {
        settings.service?.forget()
        return code
      }
      wait(signals)
      handleSignals(signals)
      handleChildren()
      handleUnmounting()
      handleDeadlines()
    }
  }

  // MARK: Waiting

  private func wait(_ signals: CInt) {
    var watched = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
    for child in children {
      if child.ending >= 0 { watched.append(pollfd(fd: child.ending, events: Int16(POLLIN), revents: 0)) }
      if child.readiness >= 0 { watched.append(pollfd(fd: child.readiness, events: Int16(POLLIN), revents: 0)) }
      if let listener = awaited(child) { watched.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0)) }
    }
    if let unmounting { watched.append(pollfd(fd: unmounting.ending, events: Int16(POLLIN), revents: 0)) }
    var timeout: CInt = -1
    if let deadline = deadlines.min() { timeout = CInt(max(0, min((deadline - now()) * 1000 + 1, 60_000))) }
    poll(&watched, nfds_t(watched.count), timeout)
  }

  private var deadlines: [Double] {
    var deadlines = children.compactMap(\.restartAt)
    if let handoverUntil { deadlines.append(handoverUntil) }
    if let watch { deadlines.append(watch.nextAt) }
    switch phase {
    case .serving: break
    case .stopping(let until, _), .ending(let until, _): deadlines.append(until)
    }
    return deadlines
  }

  // MARK: Signals

  private func handleSignals(_ descriptor: CInt) {
    while case let signal = clinux_next_signal(descriptor), signal != 0 {
      switch signal {
      // The worker reads its settings again; helpers have none that change.
      case SIGHUP: children[worker].signal(SIGHUP)
      case SIGUSR2: beginHandover()
      default: stop(code: 0)
      }
    }
  }

  /// The worker answers what it has in hand and ends; its successor is this program as it lies on the disk then.
  private func beginHandover() {
    guard case .serving = phase, handoverUntil == nil, children[worker].isRunning else { return }
    handoverUntil = now() + settings.handoverSeconds
    children[worker].signal(SIGUSR1)
  }

  /// Ends the mount; asked a second time, at once.
  private func stop(code: Int32) {
    switch phase {
    case .serving:
      settings.service?.tell("STOPPING=1", "STATUS=ending the mount at \(mount.path)")
      phase = .stopping(until: now() + settings.stopSeconds, code: code)
      children.indices.forEach { children[$0].restartAt = nil }
      unmounting = Unmounting.start(mount)
      children[worker].signal(SIGTERM)
    case .stopping(_, let code): phase = .stopping(until: now(), code: code)
    case .ending(_, let code): phase = .ending(until: now(), code: code)
    }
  }

  // MARK: Children

  private var worker: Int { children.firstIndex { $0.child.role == .worker }! }

  private func start(_ index: Int) {
    if let error = children[index].start(
      program, device: mount.device, state: state.descriptor, isTied: settings.service?.keepsDescriptors ?? false,
      now: now())
    {
      if children[index].toldAgain == nil { say("the \(children[index].child.name) could not be started: \(error)") }
      decide(index, .exited(1), served: nil)
    }
  }

  private func handleChildren() {
    for index in children.indices {
      if let listener = awaited(children[index]), isReadable(listener) { start(index) }
      if children[index].readiness >= 0, isReadable(children[index].readiness) {
        let ready = children[index].readReadiness(now: now())
        if index == worker, ready.isReady { becameReady(forTheFirstTime: ready.isFirst) }
      }
      guard children[index].isRunning, let death = children[index].reap() else { continue }
      let served = children[index].readyAt.map { now() - $0 }
      if index == worker { workerEnded(death, served: served) } else { decide(index, death, served: served) }
    }
  }

  /// Nobody is started for a mount that is not usable yet, or ends.
  private func awaited(_ child: RunningChild) -> CInt? {
    guard case .serving = phase, children[worker].hasEverBeenReady else { return nil }
    return child.awaited
  }

  private func becameReady(forTheFirstTime isFirst: Bool) {
    if case .serving = phase { settings.service?.tell("STATUS=serving \(mount.path)") }
    guard isFirst else { return }
    settings.service?.tell("READY=1", "MAINPID=\(getpid())")
    settings.becameReady()
  }

  private func workerEnded(_ death: Death, served: Double?) {
    let wasHandover = handoverUntil != nil
    handoverUntil = nil
    if case .stopping = phase { return endHelpers(code: death.exitCode) }
    guard case .serving = phase else { return }
    if !mount.isConnected { return endHelpers(code: death.exitCode) }
    if wasHandover || death == .exited(Worker.restartExitCode) { return handOver() }
    if case .exited(let code) = death, code != 0, !children[worker].hasEverBeenReady {
      // It could not begin at all and has said why: a second try would say it again.
      return stop(code: code)
    }
    decide(worker, death, served: served)
  }

  private func handOver() {
    do throws(Errno) {
      let upgraded = try program.upgraded()
      program.close()
      program = upgraded
    } catch {
      settings.say("\(program.path): \(error); going on with the program as it was")
    }
    start(worker)
    // Of the new program as well, when it is needed next.
    for child in children where child.isOnDemand { child.signal(SIGTERM) }
  }

  private func decide(_ index: Int, _ death: Death, served: Double?) {
    guard case .serving = phase else { return }
    // It has had nothing to do for a while, or was told to end.
    if children[index].isOnDemand, death == .exited(0) || death == .killed(signal: SIGTERM) { return }
    let name = children[index].child.name
    if index == worker, state.refusals != refusalsSeen {
      // What it died of was found and refused since: this is another matter.
      refusalsSeen = state.refusals
      children[index].policy.forgive()
    }
    let cause = children[index].wasReplaced ? RestartPolicy.Cause.ofItself : death.cause
    switch children[index].policy.childDied(cause, servedSeconds: served) {
    case .restart(let seconds):
      children[index].restartAt = now() + seconds
      if seconds == 0 {
        children[index].toldAgain = nil
        say("the \(name) \(death); starting it again at once")
      } else if children[index].toldAgain != death {
        children[index].toldAgain = death
        say(
          "the \(name) \(death), again and again; starting it again after pauses that grow to "
            + "\(Int(RestartPolicy.delaySecondsMax)) s")
      }
    case .giveUp:
      say(
        "the \(name) \(death), again and again, and is given up; the recordings are plain files in \(settings.recordings)")
      stop(code: 1)
    }
  }

  /// For the user, and for whoever asks the service manager how the mount is.
  private func say(_ sentence: String) {
    settings.say(sentence)
    settings.service?.tell("STATUS=\(sentence)")
  }

  private func endHelpers(code: Int32) {
    phase = .ending(until: now() + settings.stopSeconds, code: code)
    children.indices.forEach { children[$0].restartAt = nil }
    children.forEach { $0.signal(SIGTERM) }
  }

  // MARK: The end

  private func handleUnmounting() {
    if let unmounting, isReadable(unmounting.ending) {
      if let message = unmounting.finish() { settings.say(message) }
      self.unmounting = nil
      unmounted = true
    }
    if unmounted, case .stopping(_, let code) = phase, !children[worker].isRunning { endHelpers(code: code) }
  }

  private func handleDeadlines() {
    let now = now()
    for index in children.indices {
      if let restartAt = children[index].restartAt, restartAt <= now { start(index) }
    }
    if let until = handoverUntil, until <= now {
      settings.say("the worker did not hand over within \(settings.handoverSeconds) s and is replaced")
      children[worker].signal(SIGKILL)
      // Its end is seen like any other.
      handoverUntil = .infinity
    }
    watchWorker(now)
    switch phase {
    case .serving: break
    case .stopping(let until, let code) where until <= now:
      children[worker].signal(SIGKILL)
      endHelpers(code: code)
    case .ending(let until, let code) where until <= now:
      children.forEach { $0.signal(SIGKILL) }
      phase = .ending(until: .infinity, code: code)
    case .stopping, .ending: break
    }
  }

  /// Only for a service manager that wants to know: without one, a worker stopped in a debugger is nobody's business.
  private func watchWorker(_ now: Double) {
    guard let nextAt = watch?.nextAt, nextAt <= now else { return }
    var life = WorkerWatch.Life.none
    // While the mount ends, the deadlines for that suffice.
    if case .serving = phase, children[worker].isRunning {
      life = children[worker].readyAt.map { .serving(since: $0) } ?? .starting(since: children[worker].startedAt)
    }
    guard let verdict = watch?.look(now: now, beats: state.beats, life: life) else { return }
    if verdict.asksForBeat { children[worker].signal(SIGUSR2) }
    if verdict.tellsManager { settings.service?.tell("WATCHDOG=1") }
    if verdict.replaces {
      say("the worker shows no sign of life and is replaced")
      children[worker].replace()
    }
  }

  private func isReadable(_ descriptor: CInt) -> Bool {
    var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&watched, 1, 0) > 0
  }

  /// Seconds on a clock that nobody sets.
  private func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

public import Spool
internal import SyncStatus
internal import SystemPackage
public import UploadCore
internal import UploadProtocol

/// Carries out what is written to `.status/control`, and what is set through attributes.
public struct ControlFile: Sendable {
  private let spool: Spool
  private let post: @Sendable (UploadEvent) -> Void
  private let restart: @Sendable () -> Void

  /// - Parameters:
  ///   - post: hands a command to the uploader; any thread.
  ///   - restart: asks the supervisor for a new worker.
  public init(
    spool: Spool, post: @escaping @Sendable (UploadEvent) -> Void, restart: @escaping @Sendable () -> Void
  ) {
    self.spool = spool
    self.post = post
    self.restart = restart
  }

  /// EINVAL when a line is not understood (then none is carried out); ENOENT when a path has no recording.
  func carryOut(_ bytes: [UInt8]) throws(Errno) {
    let requests: [ControlRequest]
    do throws(TextError) { requests = try ControlText.parse(bytes) } catch { throw .invalidArgument }
    for request in requests { try carryOut(request) }
  }

  private func carryOut(_ request: ControlRequest) throws(Errno) {
    switch request {
    case .processUploads(let target, let force):
      if case .all = target { return command(.processUploads(nil, force: force)) }
      for session in try sessions(target) { command(.processUploads(session, force: force)) }
    case .pause(.all): command(.pauseAll)
    case .resume(.all): command(.resumeAll)
    case .pause(let target), .hold(let target): for session in try sessions(target) { command(.hold(session)) }
    case .resume(let target), .release(let target): for session in try sessions(target) { command(.release(session)) }
    case .prioritize(let level, let target):
      for session in try sessions(target) { command(.prioritize(session, level.priority)) }
    case .limit(let bytesPerSecond): command(.limit(bytesPerSecond: bytesPerSecond))
    case .flush(let target):
      for session in try sessions(target, introduces: false) { spool.knownRecording(session)?.flush() }
      command(.processUploads(nil, force: false))
    case .evict(let target): spool.evict(try sessions(target, introduces: false))
    case .restart: restart()
    }
  }

  func set(_ name: String, _ value: String, of session: SessionID) throws(Errno) {
    spool.introduce(session)
    switch (name, value) {
    case ("hold", "1"): command(.hold(session))
    case ("hold", "0"): command(.release(session))
    case ("priority", _):
      guard let level = PriorityLevel(rawValue: value) else { throw .invalidArgument }
      command(.prioritize(session, level.priority))
    default: throw .invalidArgument
    }
  }

  private func command(_ command: ControlCommand) { post(.control(command)) }

  /// The sessions that a target means.
  /// - Parameter introduces: the scheduler is told something of each of them next.
  private func sessions(_ target: ControlTarget, introduces: Bool = true) throws(Errno) -> [SessionID] {
    let sessions =
      switch target {
      case .all: try self.sessions(below: [])
      case .session(let session): try isKnown(session) ? [session] : []
      case .path(let path): try self.sessions(below: path)
      }
    if sessions.isEmpty, target != .all { throw .noSuchFileOrDirectory }
    if introduces { for session in sessions { spool.introduce(session) } }
    return sessions
  }

  private func isKnown(_ session: SessionID) throws(Errno) -> Bool {
    do { return try spool.knownRecording(session) != nil || spool.journal.session(session) != nil } catch { throw .ioError }
  }

  /// Also those that are so young, or moved there so recently, that the journal has not heard of it.
  private func sessions(below path: [UInt8]) throws(Errno) -> [SessionID] {
    var sessions: [SessionID] = []
    var unseen = Set(spool.loadedSessions)
    do {
      try spool.journal.eachSession(below: path) { row in
        sessions.append(row.session)
        unseen.remove(row.session)
      }
    } catch {
      throw .ioError
    }
    sessions += unseen.filter { spool.inode(of: $0, below: path) != nil }
    // One that is not even loaded, because recovery has yet to come by.
    if sessions.isEmpty, let session = spool.session(at: path) { sessions = [session] }
    return sessions
  }
}

extension PriorityLevel {
  var priority: UploadPriority {
    switch self {
    case .low: .low
    case .normal: .normal
    case .high: .high
    }
  }
}

internal import Glibc
public import UploadCore
public import UploadProtocol

/// What happened to recordings since the last turn, and what has become due. Used on the uploader thread only.
public struct SpoolInbox: EventInbox {
  private let spool: Spool
  private let controls: Mailbox<UploadEvent>
  /// Told before anything else: events of sessions that the scheduler does not know count for nothing.
  private var restored: [UploadEvent]

  /// - Parameters:
  ///   - controls: commands and network changes, from any thread.
  ///   - restored: what `Recovery.run` gave.
  public init(spool: Spool, controls: Mailbox<UploadEvent>, restored: [UploadEvent]) {
    self.spool = spool
    self.controls = controls
    self.restored = restored
  }

  public mutating func drain(now: Instant) -> [UploadEvent] {
    spool.runTimers(now: now)
    var events = restored
    restored = []
    for message in spool.drainMailbox() {
      switch message {
      case .event(let event): events.append(event)
      case .introduction(let session): if let event = spool.introduction(session) { events.append(event) }
      case .folderRenamed(let inode): events += spool.renamedEvents(below: inode)
      }
    }
    return events + controls.drain()
  }

  public var deadline: Instant? {
    let now = spool.clock.now
    return restored.isEmpty ? spool.timerDeadline(now: now) : now
  }
}

extension Spool {
  /// A session without anything pending, as the scheduler needs it.
  func restoredSession(_ row: SessionRow) -> RestoredSession {
    let sealed = plansRuns ? (try? journal.sealedRanges(of: row.session)) ?? [] : []
    return RestoredSession(row, pending: [], sealed: sealed)
  }

  /// Tells of the new path of every recording below a folder, as the tree has it now.
  func renamedEvents(below folder: UInt64) -> [UploadEvent] {
    var events: [UploadEvent] = []
    try? tree.reading { () throws(SpoolError) in
      let path = try tree.pathBelowRoot(folder)
      try tree.eachEntry(below: (path, folder)) { item, itemPath, _ in
        guard item.type == UInt32(S_IFREG), let session = self.session(at: itemPath) else { return }
        if let event = introduction(session) { events.append(event) }
        events.append(.renamed(session, SessionFacts(path: itemPath, inode: item.inode)))
      }
    }
    return events
  }

  /// nil: the journal has no such session, and nobody can have forgotten it. Asked on the uploader thread, after all that
  /// the scheduler decided in earlier turns.
  func introduction(_ session: SessionID) -> UploadEvent? {
    guard let row = (try? journal.session(session)) ?? nil else { return nil }
    return .introduced(session, restoredSession(row))
  }

  /// Whether some bytes of the backing file at this path are only at the destination.
  func hasEvictedMark(at path: [UInt8]) -> Bool {
    ((try? Backing.attribute(Array(Backing.evictedAttribute.utf8), of: tree.place(at: path)))?.isEmpty ?? true) == false
  }

  /// The session that the backing file at this path (below the root) carries.
  public func session(at path: [UInt8]) -> SessionID? {
    guard let value = try? Backing.attribute(Array(Backing.sessionAttribute.utf8), of: tree.place(at: path)) else {
      return nil
    }
    return SessionID(text: String(decoding: value, as: UTF8.self))
  }
}

internal import Glibc
public import UploadCore
internal import UploadProtocol

/// What happened to recordings, for the uploader of a further destination: told once the journal holds it, so that what is
/// read of it then is there. The spool itself talks to the first destination's uploader only.
public final class CopyFeed: Sendable {
  public let journal: JournalCopy
  /// The destination takes runs of chunks, so its scheduler needs to know which chunks are sealed.
  let plansRuns: Bool
  private let mailbox = Mailbox<SpoolMessage>()
  private let wake: @Sendable () -> Void

  public init(journal: JournalCopy, plansRuns: Bool, wake: @escaping @Sendable () -> Void) {
    self.journal = journal
    self.plansRuns = plansRuns
    self.wake = wake
  }

  /// Its uploader is far behind (the journal's disk holds it up): nothing more is sealed meanwhile.
  var isFull: Bool { mailbox.isFull }

  func tell(_ messages: [SpoolMessage]) {
    var isFirst = false
    for message in messages where mailbox.post(message) { isFirst = true }
    if isFirst { wake() }
  }

  func drain() -> [SpoolMessage] { mailbox.drain() }

  /// What a recorded fact means to another destination's scheduler, which may have forgotten the session since it synced it.
  /// A chunk that is reopened needs no word: it is not sent while it is open, and told of when it is sealed again.
  static func messages(of fact: JournalFact) -> [SpoolMessage] {
    switch fact {
    case .registered(let session, let facts): [.event(.registered(session, facts))]
    case .opened(let session): [.introduction(session), .event(.opened(session))]
    case .sealed(let chunk, let version, let bytes): [.event(.sealed(chunk, version, bytes: bytes))]
    case .superseded(let chunk, let current):
      [.introduction(chunk.session), .event(.sealed(chunk, current.next, bytes: 0))]
    case .dropped(let session, let count, let base): [.event(.truncated(session, chunkCount: count, base: base))]
    case .renamed(let session, let facts): [.introduction(session), .event(.renamed(session, facts))]
    case .finished(let session, let size): [.event(.finished(session, size: size))]
    case .removed(let session): [.event(.removed(session))]
    case .held(let session, let isHeld):
      [.introduction(session), .event(.control(isHeld ? .hold(session) : .release(session)))]
    case .prioritized(let session, let priority):
      [.introduction(session), .event(.control(.prioritize(session, priority)))]
    // The first destination's own affairs, and pauses, which everybody is told of at once.
    case .stored, .unstored, .rolledBack, .remote, .announced, .unannounced, .synced, .failed, .failureCleared, .pausedByUser,
      .attempted: []
    }
  }
}

/// The inbox of a further destination's uploader. Used on its thread only.
public struct CopyInbox: EventInbox {
  private let spool: Spool
  private let feed: CopyFeed
  private let controls: Mailbox<UploadEvent>
  /// Told before anything else.
  private var restored: [UploadEvent]

  /// Reads what the destination lacks; after `Recovery`.
  public init(spool: Spool, feed: CopyFeed, controls: Mailbox<UploadEvent>) throws {
    self.spool = spool
    self.feed = feed
    self.controls = controls
    restored = try feed.journal.restored(withSealed: feed.plansRuns).map { .restored($0, $1) }
  }

  public mutating func drain(now: Instant) -> [UploadEvent] {
    var events = restored
    restored = []
    for message in feed.drain() {
      switch message {
      case .event(let event): events.append(event)
      case .introduction(let session): if let event = introduction(session) { events.append(event) }
      case .folderRenamed: break
      }
    }
    return events + controls.drain()
  }

  /// Waits for whoever posts, and for nothing else.
  public var deadline: Instant? { restored.isEmpty ? nil : spool.clock.now }

  private func introduction(_ session: SessionID) -> UploadEvent? {
    guard let row = (try? feed.journal.session(session)) ?? nil else { return nil }
    let sealed = feed.plansRuns ? (try? spool.journal.sealedRanges(of: session)) ?? [] : []
    return .introduced(session, RestoredSession(row, pending: [], sealed: sealed))
  }
}

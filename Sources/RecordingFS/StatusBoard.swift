internal import Spool
internal import SyncStatus
internal import Synchronization
public import UploadCore
internal import UploadProtocol

/// The uploader's state as of its last turn, for whoever asks on whatever thread. Nobody ever waits for the uploader.
public final class StatusBoard: Sendable {
  private let state = Mutex(State())

  struct State {
    var summary = UploadSummary()
    var counters = MetricsPage.Counters()
    var limitUntil: String?
    var stallAfter: Double?
    var workers: Int64 = 1
    var hadJournalError = false

    init() {
      for ending in UploadAttempt.Ending.allCases { counters.attempts[ending.rawValue] = 0 }
    }
  }

  /// Time that write() takes.
  let writes = DurationHistogram.ofCalls()
  /// Time that requests take which store something.
  let requests = DurationHistogram.ofUploads()

  public init() {}

  /// Chunks are on their way, and nothing is known to keep them from arriving.
  public var isStoring: Bool {
    let summary = summary
    // Between two rounds a lack of room begins one.
    let isSending = summary.inFlight > 0 || summary.nextRound != nil
    return summary.connection == .online && !summary.isPausedByUser && !summary.isOnMeter && summary.journalError == nil && isSending
  }

  /// Nothing is known to keep requests from being answered.
  public var isOnline: Bool { summary.connection == .online }

  /// Whether chunks are on their way to several destinations: local bytes can go only when all have them, so none may be
  /// away.
  public static func areStoring(_ boards: [StatusBoard]) -> Bool {
    let isNobodyAway = boards.allSatisfy { board in
      let summary = board.summary
      return summary.connection == .online && !summary.isPausedByUser && !summary.isOnMeter && summary.journalError == nil
    }
    return isNobodyAway && boards.contains(where: \.isStoring)
  }

  /// Whether everything waits for the next round of periodic sync.
  public var isBetweenRounds: Bool { summary.nextRound != nil }

  /// When the limit in force is to be changed by a schedule, in words; nil: never.
  public func limitHoldsUntil(_ moment: String?) { state.withLock { $0.limitUntil = moment } }

  var limitUntil: String? { state.withLock { $0.limitUntil } }

  var summary: UploadSummary { state.withLock { $0.summary } }
  var counters: MetricsPage.Counters { state.withLock { $0.counters } }

  /// An open recording in which nothing has changed for so many seconds counts as stalled; nil: never.
  public func countsAsStalled(after seconds: Double?) { state.withLock { $0.stallAfter = seconds } }

  /// `quiet` in seconds, if that is long enough.
  func stalled(_ quiet: Span) -> Double? {
    let seconds = Double(quiet.nanoseconds) / 1e9
    return state.withLock { state in state.stallAfter.flatMap { seconds >= $0 ? seconds : nil } }
  }

  var workers: Int64 { state.withLock { $0.workers } }

  /// So many workers have served this mount, the present one too.
  public func served(by workers: Int64) { state.withLock { $0.workers = workers } }

  func publish(_ attempts: [UploadAttempt], _ summary: UploadSummary, _ count: (inout MetricsPage.Counters) -> Void) {
    for attempt in attempts where attempt.ending == .stored { requests.add(attempt.duration) }
    state.withLock { state in
      state.summary = summary
      if summary.journalError != nil, !state.hadJournalError { state.counters.journalErrors += 1 }
      state.hadJournalError = summary.journalError != nil
      for attempt in attempts {
        state.counters.attempts[attempt.ending.rawValue, default: 0] += 1
        if attempt.failuresBefore > 0 { state.counters.retries += 1 }
      }
      count(&state.counters)
    }
  }
}

/// Takes what an uploader tells after each turn to its board and the event log. Used on its thread only.
public struct StatusPublisher: StatusSink {
  private let board: StatusBoard
  private let log: EventLog
  private let reader: StatusReader
  private let destination: String?
  private let isTold: (UploadNotice) -> Bool
  private let onNotice: (UploadNotice) -> Void

  /// - Parameters:
  ///   - destination: named in the log; nil where it is the only one.
  ///   - isTold: what several destinations say together is told once.
  ///   - onNotice: told of each notice, for the foreground's few lines.
  public init(
    board: StatusBoard, log: EventLog, reader: StatusReader, destination: String? = nil,
    isTold: @escaping (UploadNotice) -> Bool = { _ in true }, onNotice: @escaping (UploadNotice) -> Void
  ) {
    self.board = board
    self.log = log
    self.reader = reader
    self.destination = destination
    self.isTold = isTold
    self.onNotice = onNotice
  }

  public mutating func publish(_ all: [UploadNotice], _ attempts: [UploadAttempt], _ summary: UploadSummary) {
    let notices = all.filter(isTold)
    let kinds = notices.map(kind)
    let bytes = notices.reduce(0) { sum, notice in
      if case .chunkUploaded(let chunk) = notice { sum + reader.byteCount(of: chunk) } else { sum }
    }
    board.publish(attempts, summary) { counters in
      counters.bytesUploaded += Int64(bytes)
      for kind in kinds {
        switch kind {
        case .chunkUploaded: counters.chunksUploaded += 1
        case .sessionUploadComplete: counters.sessionsCompleted += 1
        case .uploadError: counters.uploadErrors += 1
        case .connectionLost: counters.connectionsLost += 1
        case .recordingStalled: counters.recordingsStalled += 1
        case .uploadPaused, .uploadResumed, .connectionRestored, .sessionRegistered: break
        }
      }
    }
    log.append(kinds, destination)
    for notice in notices { onNotice(notice) }
  }

  private func kind(_ notice: UploadNotice) -> SyncEvent.Kind {
    switch notice {
    case .sessionRegistered(let session): .sessionRegistered(session)
    case .chunkUploaded(let chunk):
      .chunkUploaded(chunk.session, chunk: chunk.index, totalChunks: reader.chunkCount(of: chunk.session))
    case .sessionUploadComplete(let session): .sessionUploadComplete(session)
    case .uploadError(let session, let index, let message): .uploadError(session, chunk: index, message)
    case .uploadPaused(let reason): .uploadPaused(reason)
    case .uploadResumed: .uploadResumed
    case .connectionLost(let reason): .connectionLost(reason)
    case .connectionRestored: .connectionRestored
    case .recordingStalled(let session, let seconds): .recordingStalled(session, seconds: seconds)
    }
  }
}

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
  }

  public init() {}

  /// Chunks are on their way, and nothing is known to keep them from arriving.
  public var isStoring: Bool {
    let summary = summary
    return summary.connection == .online && !summary.isPausedByUser && summary.journalError == nil && summary.inFlight > 0
  }

  var summary: UploadSummary { state.withLock { $0.summary } }
  var counters: MetricsPage.Counters { state.withLock { $0.counters } }

  func publish(_ summary: UploadSummary, _ count: (inout MetricsPage.Counters) -> Void) {
    state.withLock { state in
      state.summary = summary
      count(&state.counters)
    }
  }
}

/// Takes what the uploader tells after each turn to the board and the event log. Used on the uploader thread only.
public struct StatusPublisher: StatusSink {
  private let board: StatusBoard
  private let log: EventLog
  private let reader: StatusReader
  private let onNotice: (UploadNotice) -> Void

  /// - Parameter onNotice: told of each notice, for the foreground's few lines.
  public init(
    board: StatusBoard, log: EventLog, reader: StatusReader, onNotice: @escaping (UploadNotice) -> Void
  ) {
    self.board = board
    self.log = log
    self.reader = reader
    self.onNotice = onNotice
  }

  public mutating func publish(_ notices: [UploadNotice], _ summary: UploadSummary) {
    let kinds = notices.map(kind)
    let bytes = notices.reduce(0) { sum, notice in
      if case .chunkUploaded(let chunk) = notice { sum + reader.byteCount(of: chunk) } else { sum }
    }
    board.publish(summary) { counters in
      counters.bytesUploaded += Int64(bytes)
      for kind in kinds {
        switch kind {
        case .chunkUploaded: counters.chunksUploaded += 1
        case .sessionUploadComplete: counters.sessionsCompleted += 1
        case .uploadError: counters.uploadErrors += 1
        case .connectionLost: counters.connectionsLost += 1
        case .uploadPaused, .uploadResumed, .connectionRestored, .sessionRegistered: break
        }
      }
    }
    log.append(kinds)
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
    }
  }
}

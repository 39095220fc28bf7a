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

  /// Nothing is known to keep requests from being answered.
  public var isOnline: Bool { summary.connection == .online }

  /// Whether chunks are on their way to several destinations: local bytes can go only when all have them, so none may be
  /// away.
  public static func areStoring(_ boards: [StatusBoard]) -> Bool {
    let isNobodyAway = boards.allSatisfy { board in
      let summary = board.summary
      return summary.connection == .online && !summary.isPausedByUser && summary.journalError == nil
    }
    return isNobodyAway && boards.contains(where: \.isStoring)
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

  public mutating func publish(_ all: [UploadNotice], _ summary: UploadSummary) {
    let notices = all.filter(isTold)
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
    }
  }
}

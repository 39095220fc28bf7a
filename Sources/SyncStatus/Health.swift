/// Whether somebody has to look after a mount: what `--heartbeat-url` tells.
public enum Health: Sendable, Equatable {
  case well
  /// A sentence.
  case failing(String)

  /// Unsent for longer than this, something keeps it here: an hour bridges a night's maintenance of a server.
  public static let lagMax = 3_600.0

  public init(of overall: OverallStatus) {
    if let error = overall.journalError {
      self = .failing("the journal cannot be written: \(error)")
    } else if overall.counts.failed > 0 {
      self = .failing("\(overall.counts.failed) recordings failed: \(overall.total.error ?? "")")
    } else if case .blocked(let reason) = overall.connection {
      self = .failing("the destination is of no use: \(reason)")
    } else if overall.total.lagSeconds > Self.lagMax {
      let reason = overall.isPaused ? ", uploads are paused by a person" : overall.connection.reason.map { ", " + $0 } ?? ""
      self = .failing("the oldest byte not stored is \(DurationText.human(overall.total.lagSeconds)) old\(reason)")
    } else {
      self = .well
    }
  }
}

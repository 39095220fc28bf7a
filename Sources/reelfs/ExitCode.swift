import ArgumentParser
import Glibc
package import Spool
package import SyncStatus

/// The exit codes of every command; scripts rely on them. The only place where one is chosen.
package enum ReelfsExit: Int32, Sendable {
  /// All recordings asked about are synced; or the command did what it should.
  case allSynced = 0
  /// A wrong flag or argument, or an error of this program or machine.
  case usageOrInternal = 1
  /// Something is still on its way.
  case pending = 3
  /// Something failed or is paused; failed and paused win over pending.
  case failedOrPaused = 4

  package init(for state: SyncState) {
    switch state {
    case .synced: self = .allSynced
    case .uploading: self = .pending
    case .paused, .failed: self = .failedOrPaused
    }
  }

  /// Of `reelfs verify`.
  package init(for outcome: RecordingVerdict.Outcome) {
    switch outcome {
    case .verified: self = .allSynced
    case .pending: self = .pending
    case .unknown: self = .usageOrInternal
    case .differs: self = .failedOrPaused
    }
  }

  /// What ArgumentParser throws: silent, with this code.
  var code: ExitCode { ExitCode(rawValue) }
}

/// Why a command could not do what was asked, in a sentence that says what to do.
package struct CommandFailure: Error, Equatable, CustomStringConvertible {
  package let message: String
  package let exit: ReelfsExit

  package init(_ message: String, exit: ReelfsExit = .usageOrInternal) {
    self.message = message
    self.exit = exit
  }

  package var description: String { message }
}

extension ReelfsExit {
  /// Ends the process after `error`: help and version on standard output with 0, everything else on standard error.
  static func end(with error: any Error) -> Never {
    if let failure = error as? CommandFailure {
      Terminal.complain("reelfs: " + failure.message)
      Glibc.exit(failure.exit.rawValue)
    }
    let message = ReelfsCommand.fullMessage(for: error)
    let code = ReelfsCommand.exitCode(for: error)
    if code == .success {
      if !message.isEmpty { Terminal.say(message) }
      Glibc.exit(allSynced.rawValue)
    }
    if !message.isEmpty { Terminal.complain(message) }
    // ArgumentParser's own code for a wrong flag is 64; ours is 1.
    Glibc.exit(code == .validationFailure ? usageOrInternal.rawValue : code.rawValue)
  }
}

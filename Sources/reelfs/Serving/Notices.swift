import Glibc
import RecordingFS
import SyncStatus
import UploadCore
import UploadProtocol

/// The few lines that a mount in the foreground says.
enum Notices {
  /// What a person at the desk wants to hear of it; nil: nothing.
  static func desktop(_ notice: UploadNotice, _ reader: StatusReader) -> DesktopNotices.Notice? {
    switch notice {
    case .sessionUploadComplete(let session): .synced(reader.name(of: session))
    case .uploadError(let session, _, let message):
      // Most errors mend themselves; a refusal does not.
      reader.isRefused(session) ? .failed(reader.name(of: session), message) : nil
    case .uploadPaused(let reason): reason == UploadNotice.pausedByUser ? nil : .paused(reason)
    case .recordingStalled(let session, _): .stalled(reader.name(of: session))
    case .chunkUploaded, .sessionRegistered, .uploadResumed, .connectionLost, .connectionRestored: nil
    }
  }

  /// - Parameter destination: of several the one that says so; nil where there is only one.
  static func tell(_ notice: UploadNotice, _ reader: StatusReader, of destination: String?) {
    let who = destination.map { "\($0): " } ?? ""
    switch notice {
    case .chunkUploaded, .sessionRegistered: break
    case .sessionUploadComplete(let session): Terminal.say("✓ SYNCED \(reader.name(of: session))")
    case .uploadError(let session, let index, let message):
      let chunk = index.map { " chunk \($0)" } ?? ""
      Terminal.complain("\(who)\(reader.name(of: session))\(chunk): \(message)")
    case .uploadPaused(let reason): Terminal.say("⏸ \(who)paused: \(reason)")
    case .uploadResumed: Terminal.say("\(who)uploads go on")
    case .connectionLost(let reason): Terminal.complain("⏸ \(who)connection lost: \(reason); recording goes on, uploads wait")
    case .connectionRestored: Terminal.say("\(who)connection restored")
    case .recordingStalled(let session, let seconds):
      Terminal.complain("\(reader.name(of: session)): open, but nothing was written for \(seconds) s")
    }
  }

  /// What a mount leaves behind: whether all is stored, or what is not and where it is safe.
  static func tellEnd(_ left: OverallStatus, recordings: String) {
    let total = left.total
    guard total.state != .synced else { return Terminal.say("unmounted. \(SummaryPage.safeSentence(left))") }
    let unfinished = left.counts.uploading + left.counts.paused + left.counts.failed
    Terminal.say(
      "unmounted. \(ByteSize.human(left.bytesWaiting)) of \(unfinished) recording\(unfinished == 1 ? "" : "s") not stored yet: "
        + "safe in \(recordings), and sent at the next mount")
  }
}

/// Progress in the last line of a mount's terminal, while something waits. Used on the uploader thread.
struct ForegroundProgress {
  private var display: ProgressDisplay
  private var next = 0.0

  /// Seconds between two drawings; with very many recordings more, so that looking takes a twentieth of the time.
  private static let secondsMin = 1.0

  /// nil without a terminal.
  init?() {
    guard let display = ProgressDisplay(on: 1) else { return nil }
    self.display = display
  }

  mutating func turned(_ overall: () -> OverallStatus) {
    let start = MonotonicSeconds.now()
    guard start >= next else { return }
    // Behind a shell's prompt it would be in the way.
    if Terminal.isInForeground(getppid()) { display.show(overall()) }
    let end = MonotonicSeconds.now()
    next = end + max(Self.secondsMin, 20 * (end - start))
  }
}

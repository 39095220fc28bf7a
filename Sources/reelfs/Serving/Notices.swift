import RecordingFS
import UploadCore
import UploadProtocol

/// The few lines that a mount in the foreground says.
enum Notices {
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
    }
  }
}

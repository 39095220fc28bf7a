import RecordingFS
import UploadCore
import UploadProtocol

/// The few lines that a mount in the foreground says.
enum Notices {
  static func tell(_ notice: UploadNotice, _ reader: StatusReader) {
    switch notice {
    case .chunkUploaded, .sessionRegistered: break
    case .sessionUploadComplete(let session): Terminal.say("✓ SYNCED \(reader.name(of: session))")
    case .uploadError(let session, let index, let message):
      let chunk = index.map { " chunk \($0)" } ?? ""
      Terminal.complain("\(reader.name(of: session))\(chunk): \(message)")
    case .uploadPaused(let reason): Terminal.say("⏸ paused: \(reason)")
    case .uploadResumed: Terminal.say("uploads go on")
    case .connectionLost(let reason): Terminal.complain("⏸ connection lost: \(reason); recording goes on, uploads wait")
    case .connectionRestored: Terminal.say("connection restored")
    }
  }
}

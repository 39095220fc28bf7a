import CurlTransport
import Spool
import SyncStatus
import SystemPackage
import UploadCore
import UploadProtocol

/// One spool, what of it is meant, and the destination to ask.
struct VerifyPlace {
  /// How it is called in the report.
  let title: String
  let stateDirectory: String
  let destination: String
  let device: String
  let token: String?
  let caFile: String?
  let target: ControlTarget

  /// Whether the destination tells what it has.
  var canBeAsked: Bool { destination.hasPrefix("http://") || destination.hasPrefix("https://") }

  /// A question about which no byte moves for so long has failed: the receiver may be reading 64 MiB from a slow disk.
  private static let patience = Span.seconds(60)

  /// Verifies recording after recording.
  /// - Parameter each: gets every verdict at once, in the order of the paths.
  /// - Returns: why it ended early; nil when everything meant was looked at.
  /// - Throws: when nothing can be verified at all, or nothing is there that could be.
  func verify(_ depth: ListingDepth, each: (RecordingVerdict) -> Void) throws -> String? {
    let listing: ReceiverListing
    do throws(DestinationError) {
      listing = ReceiverListing(
        destination: try ChunkDestination(
          baseURL: destination, device: device, writer: "verify", token: token, caFile: caFile),
        clock: SystemClock(), stallTimeout: Self.patience)
    } catch {
      throw CommandFailure("\(error); verify can ask receivers only (http:// and https://)")
    }
    let recordings: FileDescriptor
    do {
      recordings = try FileDescriptor.open(
        FilePath(stateDirectory + "/recordings"), .readOnly, options: [.directory, .closeOnExec])
    } catch {
      throw CommandFailure("\(stateDirectory)/recordings: \(error); verify must read the state directory itself, as its owner")
    }
    defer { try? recordings.close() }
    let journal: Journal
    let view: any DestinationJournal
    do throws(JournalError) {
      journal = try Journal(reading: stateDirectory + "/journal.sqlite")
      view = try journal.view(of: destination)
    } catch {
      throw CommandFailure("\(stateDirectory)/journal.sqlite cannot be read: \(error.message)")
    }
    let verifier = SpoolVerifier(recordings: recordings, journal: view, listing: listing, depth: depth)
    for session in try sessions(journal) {
      do throws(VerificationError) {
        if let verdict = try verifier.verify(session) { each(verdict) }
      } catch { return error.description }
    }
    return nil
  }

  /// Numbers of 8 bytes: a hundred thousand recordings need a megabyte.
  private func sessions(_ journal: Journal) throws(CommandFailure) -> [SessionID] {
    var sessions: [SessionID] = []
    do throws(JournalError) {
      switch target {
      case .all: try journal.eachSession(below: []) { sessions.append($0.session) }
      case .path(let path): try journal.eachSession(below: path) { sessions.append($0.session) }
      case .session(let session): if try journal.session(session) != nil { sessions.append(session) }
      }
    } catch { throw CommandFailure("the journal cannot be read: \(error.message)") }
    if sessions.isEmpty, target != .all { throw CommandFailure("\(title) is no recording that the mount knows, and holds none") }
    return sessions
  }
}

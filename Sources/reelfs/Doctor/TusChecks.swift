import CurlTransport
import SyncStatus
import UploadCore
import UploadProtocol

/// What a tus server can do, what that means for recordings, and what of them lies there for nothing.
enum TusChecks {
  private static let patience = Span.seconds(15)

  static func all(_ address: ReceiverAddress, token: String?, journals: () throws -> [String], ends: Bool) throws -> [Finding] {
    let server = TusServer(try ChunkDestination(baseURL: address.description, device: "doctor", writer: "doctor", token: token))
    let leftovers = TusLeftovers(server, clock: SystemClock(), stallTimeout: patience)
    let capabilities: TusCapabilities?
    let outcome: TransferOutcome
    do throws(FetchError) { (capabilities, outcome) = try leftovers.capabilities() } catch {
      return [Finding(.bad, "destination", "\(address): \(error)", mend: "check the network and the address")]
    }
    guard let capabilities else { return [Finding(.bad, "destination", words(of: outcome))] }
    var findings = reading(of: capabilities, "tus+\(address)")
    if capabilities.terminates { findings += try parts(leftovers, try journals(), ends: ends) }
    return findings
  }

  private static func words(of outcome: TransferOutcome) -> String {
    switch outcome {
    case .blocked(_, let words), .rejected(let words), .corrupted(let words), .unreachable(let words), .retryable(let words, _),
      .throttled(let words, _): words
    default: "it gave an answer that makes no sense"
    }
  }

  /// What of a recording is there before its end, and why.
  static func reading(of capabilities: TusCapabilities, _ address: String) -> [Finding] {
    let offered = capabilities.extensions.sorted().joined(separator: ", ")
    let there = Finding(.ok, "destination", "\(address) is a tus 1.0 server (\(offered)); whether it may be written to shows with the first recording")
    let missing = ["creation-defer-length", "concatenation"].filter { !capabilities.extensions.contains($0) }
    switch (capabilities.defersLength, capabilities.joins) {
    case (_, true): return [there, Finding(.ok, "uploading", "while it is recorded, all but the first 5 MiB")]
    case (true, false):
      return [
        there,
        Finding(
          .warn, "uploading", "while it is recorded; without concatenation a rewritten header starts the upload over",
          mend: "use a tus server with the extension concatenation"),
      ]
    case (false, _):
      return [
        there,
        Finding(
          .warn, "uploading", "only after a recording has ended: the server does not offer \(missing.joined(separator: " and "))",
          mend: "use a tus server with the extensions creation-defer-length and concatenation"),
      ]
    }
  }

  private static func parts(_ leftovers: TusLeftovers, _ journals: [String], ends: Bool) throws -> [Finding] {
    var count = 0
    var bytes: Int64 = 0
    for url in try JournalsOfThisMachine.syncedFacts(named: TusLeftovers.factName, in: journals, leftovers.parts) {
      do throws(FetchError) {
        guard let length = try leftovers.bytes(of: url) else { continue }
        if ends { try leftovers.terminate(url) }
        count += 1
        bytes += length
      } catch {
        return [Finding(.warn, "joined parts", "cannot be \(ends ? "ended" : "looked at"): \(error)", mend: "ask again in a minute")]
      }
    }
    guard count > 0 else { return [Finding(.ok, "joined parts", "none are left")] }
    let what = "\(count) of \(ByteSize.human(bytes)) whose recordings are complete"
    return ends
      ? [Finding(.ok, "joined parts", "\(what): ended")]
      : [Finding(.warn, "joined parts", "\(what) are still there", mend: "reelfs doctor --clean ends them; most servers do so themselves in time")]
  }
}

package import Spool
package import SyncStatus
package import UploadCore
import UploadProtocol

/// What `reelfs verify` says of one place: lines for people while it goes on, and JSON.
package struct VerifyReport {
  package let title: String
  package let destination: String
  package let depth: ListingDepth
  /// When it began, in seconds since 1970.
  package let time: Double
  /// Why it ended early.
  package var failure: String?
  package private(set) var counts: [RecordingVerdict.Outcome: Int] = [:]
  package private(set) var worst = RecordingVerdict.Outcome.verified
  private var verifiedBytes: Int64 = 0
  private var pendingBytes: Int64 = 0
  private var chunksByReceipt = 0
  private var recordings = JSONText()

  package init(title: String, destination: String, depth: ListingDepth, time: Double) {
    self.title = title
    self.destination = destination
    self.depth = depth
    self.time = time
    recordings.beginArray()
  }

  package mutating func add(_ verdict: RecordingVerdict, keepsJSON: Bool) {
    counts[verdict.outcome, default: 0] += 1
    worst = max(worst, verdict.outcome)
    verifiedBytes += verdict.verifiedBytes
    pendingBytes += verdict.pendingBytes
    chunksByReceipt += verdict.chunksByReceipt
    if keepsJSON { Self.write(verdict, to: &recordings) }
  }

  package var outcome: RecordingVerdict.Outcome { failure == nil ? worst : max(worst, .unknown) }

  // MARK: Lines

  package static func lines(_ verdict: RecordingVerdict) -> [String] {
    let name = PrintableText.line(String(decoding: verdict.path, as: UTF8.self))
    let verified = ByteSize.human(verdict.verifiedBytes)
    switch verdict.outcome {
    case .verified: return ["✓ \(name): \(verified) in \(chunks(verdict.verifiedChunks)) verified" + receipts(verdict)]
    case .pending:
      let rest =
        verdict.pendingChunks > 0
        ? "\(ByteSize.human(verdict.pendingBytes)) in \(chunks(verdict.pendingChunks)) not synced yet"
        : "not confirmed as a whole yet"
      return ["⇪ \(name): \(verified) verified, \(rest)" + receipts(verdict)]
    case .unknown: return ["? \(name): \(verdict.failure ?? "it could not be verified")"]
    case .differs:
      let head = "❌ \(name): \(verdict.differenceCount) differences, \(verified) verified" + receipts(verdict)
      let rest = verdict.differenceCount - verdict.differences.count
      return [head] + verdict.differences.map(line) + (rest > 0 ? ["   and \(rest) more"] : [])
    }
  }

  private static func line(_ difference: RecordingVerdict.Difference) -> String {
    guard let index = difference.index, let bytes = difference.bytes else { return "   \(difference.words)" }
    return "   chunk \(index) (bytes \(bytes.lowerBound) to \(bytes.upperBound - 1)): \(difference.words)"
  }

  private static func receipts(_ verdict: RecordingVerdict) -> String {
    verdict.chunksByReceipt == 0
      ? "" : " (\(chunks(verdict.chunksByReceipt)) evicted here: compared by the receipt's digest)"
  }

  private static func chunks(_ count: Int) -> String { count == 1 ? "1 chunk" : "\(count) chunks" }

  /// The sums, in one sentence.
  package var summary: String {
    let total = counts.values.reduce(0, +)
    let parts = [
      (RecordingVerdict.Outcome.verified, "verified"), (.pending, "not synced yet"), (.differs, "not as recorded"),
      (.unknown, "could not be read"),
    ].compactMap { outcome, words in counts[outcome].map { "\($0) \(words)" } }
    let how = depth == .bytes ? "its stored bytes, read again" : "its catalog; --deep has it read its bytes again"
    let list = parts.isEmpty ? "none" : parts.joined(separator: ", ")
    let words = failure.map { "; ended early: \($0)" } ?? ""
    return """
      \(title): \(total == 1 ? "1 recording" : "\(total) recordings"): \(list); \(ByteSize.human(verifiedBytes)) verified at \
      \(destination) by \(how)\(words)
      """
  }

  // MARK: JSON

  package func write(to json: inout JSONText) {
    json.beginObject()
    json.add("place", title)
    json.add("destination", destination)
    json.add("depth", depth.rawValue)
    json.add("time", Timestamp.text(time))
    json.add("outcome", outcome.rawValue)
    json.add("error", optional: failure)
    json.beginObject("total")
    for outcome in RecordingVerdict.Outcome.allCases { json.add(outcome.rawValue, counts[outcome] ?? 0) }
    json.add("bytes_verified", verifiedBytes)
    json.add("bytes_pending", pendingBytes)
    json.add("chunks_by_receipt", chunksByReceipt)
    json.endObject()
    var list = recordings
    list.endArray()
    json.add("recordings", json: String(decoding: list.bytes, as: UTF8.self))
    json.endObject()
  }

  private static func write(_ verdict: RecordingVerdict, to json: inout JSONText) {
    json.beginObject()
    json.add("path", String(decoding: verdict.path, as: UTF8.self))
    json.add("session", verdict.session.description)
    json.add("outcome", verdict.outcome.rawValue)
    json.add("size", verdict.size)
    json.add("chunks_verified", verdict.verifiedChunks)
    json.add("bytes_verified", verdict.verifiedBytes)
    json.add("chunks_by_receipt", verdict.chunksByReceipt)
    json.add("chunks_pending", verdict.pendingChunks)
    json.add("bytes_pending", verdict.pendingBytes)
    json.add("confirmed_as_whole", verdict.isConfirmedAsWhole)
    json.add("error", optional: verdict.failure)
    json.add("differences_total", verdict.differenceCount)
    json.beginArray("differences")
    for difference in verdict.differences {
      json.beginObject()
      if let index = difference.index { json.add("chunk", index) } else { json.addNull("chunk") }
      if let bytes = difference.bytes {
        json.add("offset", bytes.lowerBound)
        json.add("bytes", bytes.upperBound - bytes.lowerBound)
      }
      json.add("message", difference.words)
      json.endObject()
    }
    json.endArray()
    json.endObject()
  }
}

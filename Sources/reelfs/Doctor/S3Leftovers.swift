import CurlTransport
import S3Protocol
import SyncStatus
import UploadCore

/// Multipart uploads below a destination's prefix that nobody will finish: their parts are paid for, and no listing shows them.
enum S3Leftovers {
  private static let patience = Span.seconds(30)

  /// - Parameters:
  ///   - age: seconds, see `Leftover.verdict`.
  ///   - ends: aborts the orphaned ones; otherwise they are only told.
  static func findings(of store: S3Store, journals: [String], age: Double, ends: Bool) throws -> [Finding] {
    let uploads = S3OpenUploads(store, clock: SystemClock(), stallTimeout: patience)
    let used = try JournalsOfThisMachine.remoteFacts(named: S3OpenUploads.factName, in: journals, S3OpenUploads.id)
    let found: [S3OpenUploads.Found]
    do throws(FetchError) { found = try uploads.all() } catch {
      return [Finding(.warn, "unfinished uploads", "cannot be listed: \(error)", mend: "allow s3:ListBucketMultipartUploads")]
    }
    // Other programs put their uploads into the same bucket: only below a prefix of its own they are known to be ours.
    if ends, store.location.prefix.isEmpty, !found.isEmpty {
      throw CommandFailure(
        "without a prefix every program's uploads in the bucket would be meant: nothing is ended; give the bucket a rule that ends unfinished uploads")
    }
    let now = WallClock.now()
    let journals = Dictionary(used.map { ($0.value, $0.journal) }) { first, _ in first }
    let findings = found.map { upload -> Finding in
      let leftover = Leftover(
        name: "s3://\(store.location.bucket)/" + String(decoding: upload.upload.key.bytes, as: UTF8.self), id: upload.upload.id,
        bytes: upload.bytes, changed: upload.changed.flatMap { Timestamp.seconds(of: $0) })
      let verdict = leftover.verdict(used: journals, age: age, now: now)
      guard verdict == .orphaned, ends else { return leftover.finding(verdict, age: age, now: now) }
      do throws(FetchError) { try uploads.abort(upload.upload) } catch {
        return Finding(.bad, "unfinished upload", "\(leftover.name) could not be ended: \(error)", mend: "allow s3:AbortMultipartUpload")
      }
      return Finding(.ok, "unfinished upload", "\(leftover.name): ended, \(ByteSize.human(upload.bytes)) are free")
    }
    return findings.isEmpty ? [Finding(.ok, "unfinished uploads", "none below \(store.location.description)")] : findings
  }
}

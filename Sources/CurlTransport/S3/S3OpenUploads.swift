package import S3Protocol
package import UploadCore

/// The multipart uploads of a bucket that were neither completed nor aborted. It blocks; any thread may call it.
package struct S3OpenUploads: Sendable {
  package struct Found: Sendable, Equatable {
    package let upload: S3Upload
    package let parts: Int
    package let bytes: Int64
    /// When it was begun or its newest part came, in the server's words (RFC 3339); nil: not said.
    package let changed: String?
  }

  /// More than so many are looked at in another run: each takes a request or more.
  private static let uploadsMax = 10_000
  /// A thousand parts each, and 10,000 parts at most.
  private static let pagesMax = 10

  private let store: S3Store
  private let client: BlockingS3Client

  package init(_ store: S3Store, clock: any MonotonicClock, stallTimeout: Span) {
    self.store = store
    client = BlockingS3Client(store, clock: clock, stallTimeout: stallTimeout)
  }

  /// Those whose keys lie below the destination's prefix.
  package func all() throws(FetchError) -> [Found] {
    let prefix = store.location.prefix
    var uploads: [S3ListedUpload] = []
    var marker: S3UploadMarker?
    repeat {
      let page = try client.answer(to: .listUploads(below: prefix.isEmpty ? [] : Array((prefix + "/").utf8), after: marker)) {
        answer, reader throws(S3Refusal) in try reader.uploads(answer)
      }
      uploads += page.uploads
      marker = page.next
    } while marker != nil && uploads.count < Self.uploadsMax
    var found: [Found] = []
    for upload in uploads.prefix(Self.uploadsMax) { if let whole = try parts(of: upload) { found.append(whole) } }
    return found
  }

  /// nil: completed or aborted meanwhile.
  private func parts(of listed: S3ListedUpload) throws(FetchError) -> Found? {
    var parts: [S3ListedPart] = []
    var marker: Int?
    var pages = 0
    repeat {
      let page = try client.answer(to: .listParts(listed.upload, after: marker)) { answer, reader throws(S3Refusal) -> S3PartsPage? in
        do throws(S3Refusal) { return try reader.parts(answer) } catch {
          if error.meaning == .uploadGone { return nil }
          throw error
        }
      }
      guard let page else { return nil }
      parts += page.parts
      marker = page.next
      pages += 1
    } while marker != nil && pages < Self.pagesMax
    // RFC 3339 times in UTC sort as text.
    let times = ([listed.initiated] + parts.map(\.modified)).compactMap { $0 }.sorted(by: >)
    return Found(
      upload: listed.upload, parts: parts.count, bytes: parts.reduce(0) { $0 + $1.size }, changed: times.first)
  }

  package func abort(_ upload: S3Upload) throws(FetchError) {
    try client.answer(to: .abortUpload(upload)) { answer, reader throws(S3Refusal) in try reader.abortedUpload(answer) }
  }

  /// The remote fact that names the upload that a session is on with.
  package static let factName = S3Memory.Name.upload

  /// The id of that upload.
  /// - Parameter facts: what the journal remembers of it.
  package static func id(in facts: [String: String]) -> String? { S3Memory(facts).upload?.upload.id }
}

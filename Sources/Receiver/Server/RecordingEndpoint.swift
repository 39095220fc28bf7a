import Foundation
import HTTPTypes
import Hummingbird
import UploadProtocol

/// `/recordings/`: what is stored, whole or still arriving.
struct RecordingEndpoint: Sendable {
  let folder: DataFolder
  let catalog: Catalog
  let reading = FileReading()

  /// Recordings in one page of the listing.
  static let pageMax = 1_000

  private struct Listing: Encodable {
    let recordings: [Entry]
    /// Value for `after` of the next page; nil at the end.
    let next: Int64?

    struct Entry: Encodable {
      let sessionId: String
      let device: String
      let path: String?
      let pathBase64: Data?
      let state: String
      let size: Int64
      let location: String
      let changedAt: String
    }
  }

  func list(_ request: Request) async throws(ReceiverError) -> Response {
    let query = request.uri.queryParameters
    guard let after = Int64(query["after"] ?? "0"), let limit = Int(query["limit"] ?? "\(Self.pageMax)"), limit > 0
    else {
      throw .badBody("after and limit must be numbers, limit at least 1.")
    }
    let count = min(limit, Self.pageMax)
    let listing: Listing
    do throws(CatalogError) {
      listing = try await catalog.snapshot { db in
        let records = try SessionRecord.fetchPage(db, after: after, limit: count + 1)
        return Listing(
          recordings: try records.prefix(count).compactMap { record in
            try record.path.map { path in
              let text = String(validating: path.bytes, as: UTF8.self)
              return Listing.Entry(
                sessionId: record.id.description, device: path.device.description, path: text,
                pathBase64: text == nil ? Data(path.bytes) : nil, state: record.isComplete ? "complete" : "receiving",
                size: record.whole != nil
                  ? record.size : try ChunkRecord.contiguousBytes(db, session: record.number, folded: record.folded),
                location: path.location, changedAt: Timestamp.text(milliseconds: record.changed))
            }
          }, next: records.count > count ? records[count - 1].number : nil)
      }
    } catch { throw ReceiverError(error) }
    let response = Reply.json(listing)
    return request.method == .head ? response.createHeadResponse() : response
  }

  func read(_ request: Request, _ address: Substring) async throws(ReceiverError) -> Response {
    let path = try RecordingPath(percentEncoded: address)
    let found = try await open(path)
    var headers: HTTPFields = [
      .contentType: ContentType.of(path.fileName), .acceptRanges: "bytes", .xContentTypeOptions: "nosniff",
      .lastModified: Timestamp.http(milliseconds: found.changed), .eTag: found.tag,
      // A running recording has more to say a second later.
      .cacheControl: "no-cache",
      // No other site may show or play what is here.
      .crossOriginResourcePolicy: "same-origin",
    ]
    if request.uri.queryParameters["download"] != nil { headers[.contentDisposition] = Self.attachment(path.fileName) }
    if request.headers[.ifNoneMatch] == found.tag { return Response(status: .notModified, headers: headers) }
    let condition = request.headers[.ifRange]
    let range = condition == nil || condition == found.tag ? ByteRange(header: request.headers[.range]) : nil
    var bytes: Range<Int64> = 0..<found.size
    if let range {
      guard let part = range.resolved(size: found.size) else {
        headers[.contentRange] = "bytes */\(found.size)"
        return Response(status: .rangeNotSatisfiable, headers: headers)
      }
      bytes = part
      headers[.contentRange] = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(found.size)"
    }
    let response = Response(
      status: range == nil ? .ok : .partialContent, headers: headers, body: reading.body(found.file, bytes))
    return request.method == .head ? response.createHeadResponse() : response
  }

  /// RFC 8187.
  private static func attachment(_ name: EntryName) -> String {
    "attachment; filename*=UTF-8''\(PercentEncoding.encode(name.bytes))"
  }

  private struct Found: Sendable {
    let file: OpenFile
    let size: Int64
    let tag: String
    /// Milliseconds since 1970.
    let changed: Int64
  }

  private func open(_ path: RecordingPath) async throws(ReceiverError) -> Found {
    // A completion or a rename may come between the catalog's answer and the opening; the second look sees it.
    for _ in 0..<3 {
      if let found = try await openOnce(path) { return found }
    }
    throw .notFound
  }

  private func openOnce(_ path: RecordingPath) async throws(ReceiverError) -> Found? {
    let answer: (record: SessionRecord, size: Int64)?
    do throws(CatalogError) {
      answer = try await catalog.snapshot { db in
        guard let record = try SessionRecord.fetch(db, path: path) else { return nil }
        if record.whole != nil || record.isComplete { return (record, record.size) }
        return (record, try ChunkRecord.contiguousBytes(db, session: record.number, folded: record.folded))
      }
    } catch { throw ReceiverError(error) }
    guard let (record, size) = answer else { throw .notFound }
    let folder = self.folder
    return try await reading.run { () throws(ReceiverError) in
      do throws(IOFailure) {
        let session = try folder.root.directory(record.id.folderName)
        if let whole = record.whole {
          let file = try session.file(whole, .read)
          guard try file.attributes().size == size else { return nil }
          return Found(file: file, size: size, tag: tag(record, size), changed: record.completed ?? record.changed)
        }
        let file = try session.directory(DataFolder.tempName).file(DataFolder.recordingName, .read)
        return Found(file: file, size: size, tag: tag(record, size), changed: record.changed)
      } catch {
        if error.isMissing { return nil }
        throw ReceiverError(error)
      }
    }
  }

  /// Strong for a whole recording: its chain names every byte. Weak for a running one.
  private func tag(_ record: SessionRecord, _ size: Int64) -> String {
    if record.whole != nil, let chain = record.chain { return "\"\(DigestChain.hexadecimal(chain))\"" }
    return "W/\"\(record.id)-\(size)-\(record.changed)\""
  }
}

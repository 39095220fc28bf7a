import FoundationEssentials
package import UploadCore
package import UploadProtocol

/// The chunk protocol's requests as HTTP (docs/PROTOCOL.md).
package struct ChunkRequests {
  private let destination: ChunkDestination
  private let uploadTimeout: Span

  package init(_ destination: ChunkDestination, uploadTimeout: Span) {
    self.destination = destination
    self.uploadTimeout = uploadTimeout
  }

  /// - Parameter frame: what a chunk was compressed to; nil: it travels as it is.
  package func request(for payload: UploadPayload, frame: [UInt8]? = nil, bytesPerSecondMax: Int?) -> HTTPRequest {
    switch payload {
    case .announce(let announcement):
      HTTPRequest(
        .put, address(Routes.sessions, announcement.session.description), headers: headers(json),
        body: body(of: announcement), stallTimeout: uploadTimeout)
    case .chunk(let chunk):
      HTTPRequest(
        .post, address(Routes.chunk), headers: headers(fields(of: chunk) + (frame == nil ? [] : ["Content-Encoding: zstd"])),
        body: RequestBody(bytes: frame ?? chunk.bytes), stallTimeout: uploadTimeout, bytesPerSecondMax: bytesPerSecondMax)
    case .complete(let manifest):
      HTTPRequest(
        .post, address(Routes.sessions, manifest.session.description, "complete"), headers: headers(json),
        body: body(of: manifest), stallTimeout: completionTimeout, heartbeat: heartbeat,
        bytesPerSecondMax: bytesPerSecondMax)
    case .recordings(let batch):
      HTTPRequest(
        .post, address(Routes.wholeRecordings), headers: headers(["Content-Type: application/octet-stream"]),
        body: body(of: batch), stallTimeout: uploadTimeout, bytesPerSecondMax: bytesPerSecondMax)
    case .probe:
      HTTPRequest(.get, address(Routes.health), headers: headers([]), stallTimeout: uploadTimeout)
    }
  }

  /// Another page of what the destination holds of a session.
  package func listing(of session: SessionID, from index: Int) -> HTTPRequest {
    HTTPRequest(
      .get, address(Routes.sessions, session.description) + "?from=\(index)", headers: headers([]),
      stallTimeout: uploadTimeout)
  }

  /// Completing is silent while the receiver checks and moves the recording: five times the patience (5 minutes).
  private var completionTimeout: Span { Span(nanoseconds: uploadTimeout.nanoseconds * 5) }

  /// Meanwhile whoever cancels what makes no progress must hear that it is alive, well before the usual timeout.
  private var heartbeat: Span { Span(nanoseconds: uploadTimeout.nanoseconds / 4) }

  private func address(_ route: String, _ parts: String...) -> String {
    ([destination.baseURL + route] + parts).joined(separator: "/")
  }

  // MARK: Headers

  private var json: [String] { ["Content-Type: application/json"] }

  private func fields(of chunk: ChunkPayload) -> [String] {
    [
      "Content-Type: application/octet-stream",
      "\(HeaderName.session): \(chunk.chunk.session)",
      "\(HeaderName.chunkIndex): \(chunk.chunk.index)",
      "\(HeaderName.chunkVersion): \(chunk.version)",
      "\(HeaderName.contentDigest): sha-256=:\(Base64.text(of: chunk.digest.bytes)):",
    ]
  }

  private func headers(_ own: [String]) -> [String] {
    own + ["\(HeaderName.writer): \(destination.writer)"] + destination.token.header
  }

  // MARK: JSON bodies

  private struct AnnouncementBody: Encodable {
    let device: String
    let path: String?
    let path_base64: String?
    let metadata: [String: String]
    let writer: String
  }

  private struct CompletionBody: Encodable {
    let device: String
    let path: String?
    let path_base64: String?
    let size: Int64
    let writer: String
  }

  private func body(of announcement: SessionAnnouncement) -> RequestBody {
    let path = announcement.facts.path
    return RequestBody(
      bytes: Self.encode(
        AnnouncementBody(
          device: destination.device, path: Self.text(path), path_base64: Self.base64(path),
          metadata: Self.metadata(announcement.metadata), writer: destination.writer)))
  }

  private struct RecordingsHead: Encodable {
    let device: String
    let writer: String
    let recordings: [Entry]

    struct Entry: Encodable {
      let session_id: String
      let path: String?
      let path_base64: String?
      let metadata: [String: String]
      let chunk_version: UInt32
      let bytes: Int
      let sha256: String
    }
  }

  /// A line of JSON, then the bytes of all of them.
  private func body(of batch: [WholeRecording]) -> RequestBody {
    let entries = batch.map { recording in
      let path = recording.announcement.facts.path
      return RecordingsHead.Entry(
        session_id: recording.announcement.session.description, path: Self.text(path), path_base64: Self.base64(path),
        metadata: Self.metadata(recording.announcement.metadata), chunk_version: recording.version.number,
        bytes: recording.bytes.count, sha256: recording.digest.description)
    }
    let head = Self.encode(
      RecordingsHead(device: destination.device, writer: destination.writer, recordings: entries))
    return RequestBody([.plain(head + [UInt8(ascii: "\n")])] + batch.map { .plain($0.bytes) })
  }

  /// The digests come last and are encoded while they are sent: for a terabyte they are 43 MB of text.
  private func body(of manifest: RecordingManifest) -> RequestBody {
    let path = manifest.facts.path
    var head = Self.encode(
      CompletionBody(
        device: destination.device, path: Self.text(path), path_base64: Self.base64(path), size: manifest.size,
        writer: destination.writer))
    head.removeLast()
    head += Array(",\"digests\":\"".utf8)
    return RequestBody([.plain(head), .base64(of: manifest.digests), .plain(Array("\"}".utf8))])
  }

  /// Values that are not UTF-8 travel as base64 under `name_base64`, as paths do.
  private static func metadata(_ attributes: [String: [UInt8]]) -> [String: String] {
    var result: [String: String] = [:]
    for (name, value) in attributes {
      if let text = text(value) { result[name] = text } else { result[name + "_base64"] = Base64.text(of: value) }
    }
    return result
  }

  /// nil when the bytes are not UTF-8.
  private static func text(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self) }

  /// nil when the bytes are UTF-8.
  private static func base64(_ bytes: [UInt8]) -> String? { text(bytes) == nil ? Base64.text(of: bytes) : nil }

  private static func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings and integers always encode; an empty body would be refused by the receiver with its reason.
    guard let data = try? encoder.encode(value) else { return Array("{}".utf8) }
    return Array(data)
  }
}

import Crypto
import UploadCore
import UploadProtocol

/// The requests of tus 1.0.0.
struct TusRequests {
  let server: TusServer
  let uploadTimeout: Span

  func options() -> HTTPRequest {
    HTTPRequest(.options, server.creationURL, headers: authorization, stallTimeout: uploadTimeout)
  }

  enum Length: Equatable {
    case known(Int64)
    case deferred
  }

  /// - Parameter partial: it will be joined with others, and carries no metadata.
  func create(_ length: Length, partial: Bool, metadata: String?) -> HTTPRequest {
    var headers = common
    switch length {
    case .known(let bytes): headers.append("Upload-Length: \(bytes)")
    case .deferred: headers.append("Upload-Defer-Length: 1")
    }
    if partial { headers.append("Upload-Concat: partial") }
    if let metadata { headers.append("Upload-Metadata: \(metadata)") }
    return post(headers)
  }

  func join(_ urls: [String], metadata: String) -> HTTPRequest {
    let paths = urls.map(server.shortened).joined(separator: " ")
    // Servers copy while they join: minutes, not the time of a chunk.
    return post(
      common + ["Upload-Concat: final;\(paths)", "Upload-Metadata: \(metadata)"],
      patience: Span(nanoseconds: uploadTimeout.nanoseconds * 5))
  }

  func head(_ url: String) -> HTTPRequest {
    // Some servers hold a lock for 20 s before they let the next request of an upload in.
    HTTPRequest(.head, url, headers: common, stallTimeout: uploadTimeout)
  }

  func append(
    _ bytes: ArraySlice<UInt8>, to url: String, at offset: Int64, length: Int64? = nil, checksum: String?,
    bytesPerSecondMax: Int?
  ) -> HTTPRequest {
    var headers = common + ["Content-Type: application/offset+octet-stream", "Upload-Offset: \(offset)"]
    if let length { headers.append("Upload-Length: \(length)") }
    if let checksum, !bytes.isEmpty { headers.append("Upload-Checksum: \(checksum) \(Self.digest(bytes, checksum))") }
    return HTTPRequest(
      .patch, url, headers: headers, body: RequestBody(bytes: Array(bytes)), stallTimeout: uploadTimeout,
      bytesPerSecondMax: bytesPerSecondMax)
  }

  /// Of an upload of our own receiver.
  func rename(_ url: String, metadata: String) -> HTTPRequest {
    HTTPRequest(
      .put, url, headers: common + ["Upload-Metadata: \(metadata)"], body: RequestBody(bytes: []), stallTimeout: uploadTimeout)
  }

  func terminate(_ url: String) -> HTTPRequest {
    HTTPRequest(.delete, url, headers: common, stallTimeout: uploadTimeout)
  }

  private var common: [String] { ["Tus-Resumable: 1.0.0"] + authorization }
  private var authorization: [String] { server.token.header }

  private func post(_ headers: [String], patience: Span? = nil) -> HTTPRequest {
    HTTPRequest(
      .post, server.creationURL, headers: headers, body: RequestBody(bytes: []), stallTimeout: patience ?? uploadTimeout,
      heartbeat: patience.map { _ in Span(nanoseconds: uploadTimeout.nanoseconds / 4) })
  }

  private static func digest(_ bytes: ArraySlice<UInt8>, _ algorithm: String) -> String {
    Base64.text(of: algorithm == "sha256" ? Array(SHA256.hash(data: bytes)) : Array(Insecure.SHA1.hash(data: bytes)))
  }
}

/// `Upload-Metadata`: names and base64 values.
enum TusMetadata {
  /// Longest value and most values sent along: headers are limited to some kilobytes.
  private static let valueBytesMax = 1_024
  private static let valuesMax = 16

  /// `filename` and `filetype` always (some servers answer nothing without them); the path, the device, and the user's own
  /// attributes as far as their names can be written.
  static func text(for announcement: SessionAnnouncement, device: String) -> String {
    let path = announcement.facts.path
    let name = Array(path.split(separator: UInt8(ascii: "/")).last ?? [])
    var pairs: [(String, [UInt8])] = [
      ("filename", name), ("filetype", Array(mediaType(of: name).utf8)), ("relativePath", path),
      ("device", Array(device.utf8)), ("session", Array(announcement.session.description.utf8)),
    ]
    let own = announcement.metadata.sorted { $0.key < $1.key }
      .filter { name, value in isName(name) && value.count <= valueBytesMax && !pairs.contains { $0.0 == name } }
    pairs += own.prefix(valuesMax).map { ($0.key, $0.value) }
    return pairs.map { $0.1.isEmpty ? $0.0 : "\($0.0) \(Base64.text(of: $0.1))" }.joined(separator: ",")
  }

  private static func isName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { 0x21...0x7e ~= $0 && $0 != UInt8(ascii: ",") }
  }

  private static func mediaType(of name: [UInt8]) -> String {
    let ending = String(decoding: name, as: UTF8.self).split(separator: ".").last?.lowercased() ?? ""
    return mediaTypes[ending] ?? "application/octet-stream"
  }

  /// What recorders write.
  private static let mediaTypes = [
    "wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg", "opus": "audio/opus",
    "m4a": "audio/mp4", "mp4": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska", "webm": "video/webm",
    "ts": "video/mp2t", "avi": "video/x-msvideo", "pcap": "application/vnd.tcpdump.pcap", "txt": "text/plain",
    "log": "text/plain", "json": "application/json", "jpg": "image/jpeg", "png": "image/png",
  ]
}

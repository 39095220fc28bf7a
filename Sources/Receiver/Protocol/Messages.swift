import Foundation
import UploadProtocol

/// Body of an announcement, and the part of a completion that says the same.
struct AnnouncementBody: Decodable {
  var device: String?
  var path: String?
  var pathBase64: Data?
  var metadata: JSONValue?
  var writer: String?

  /// Bytes of metadata, as JSON.
  static let metadataBytesMax = 64 << 10

  func announcement(session: SessionName) throws(ReceiverError) -> Announcement {
    var text: String?
    if let metadata {
      guard case .object = metadata else { throw .badBody("metadata must be an object.") }
      let written = metadata.text
      guard written.utf8.count <= Self.metadataBytesMax else { throw .tooLarge(bytesMax: Self.metadataBytesMax) }
      text = written
    }
    return Announcement(
      session: session, path: try recordingPath, metadata: text, writer: try Writer.check(writer))
  }

  private var recordingPath: RecordingPath? {
    get throws(ReceiverError) {
      let bytes = pathBase64.map { Array($0) } ?? path.map { Array($0.utf8) }
      guard device != nil || bytes != nil else { return nil }
      guard let device, let bytes else { throw .badPath("device and path belong together.") }
      return try RecordingPath(device: device.utf8, path: bytes)
    }
  }
}

struct CompletionBody: Decodable {
  let size: Int64
  let digests: Data
  let device: String?
  let path: String?
  let pathBase64: Data?
  let metadata: JSONValue?
  let writer: String?

  func completion(session: SessionName) throws(ReceiverError) -> Completion {
    let sizeMax = Int64(ChunkLayout.indexMax + 1) * Int64(ChunkLayout.chunkBytes)
    guard (0...sizeMax).contains(size) else { throw .badBody("size must be from 0 to \(sizeMax).") }
    let count = ChunkLayout.chunkCount(size: size)
    guard digests.count == count * ChunkDigest.byteCount else {
      throw .badBody("digests must hold 32 bytes for each of the \(count) chunks.")
    }
    let names = AnnouncementBody(
      device: device, path: path, pathBase64: pathBase64, metadata: metadata, writer: writer)
    return Completion(
      announcement: try names.announcement(session: session), size: size, digests: Array(digests))
  }
}

struct ReceiptBody: Encodable {
  let sessionId: String
  let chunkIndex: Int
  let chunkVersion: UInt32
  let bytes: Int
  let sha256: String
}

struct SessionBody: Encodable, Sendable {
  let sessionId: String
  let device: String?
  let path: String?
  /// Instead of `path` where that is not UTF-8.
  let pathBase64: Data?
  let state: String
  /// Bytes of the whole recording when complete, else the bytes from the start without a gap.
  let size: Int64
  let chunks: [ChunkBody]
  let next: Int?
  /// Of a complete recording, in hexadecimal.
  let chain: String?
  /// Only when asked for the bytes, in the first page, and of a complete recording.
  let stored: WholeBody?

  struct ChunkBody: Encodable, Sendable {
    let index: Int
    let version: UInt32
    let bytes: Int
    let sha256: String
    /// Only when asked for the bytes.
    var stored: FoundBody?
  }

  /// A chunk as it was read from the disk for this answer; null where there was nothing to read.
  struct FoundBody: Encodable, Sendable {
    let bytes: Int?
    let sha256: String?

    init(_ found: StoredChunks.Found?) {
      bytes = found?.byteCount
      sha256 = found.map { DigestChain.hexadecimal($0.digest) }
    }
  }

  /// The whole recording's file and the manifest beside it, as they are on the disk.
  struct WholeBody: Encodable, Sendable {
    let size: Int64?
    let chain: String?
  }

  init(
    _ record: SessionRecord, size: Int64, chunks: [ChunkRecord], next: Int?, found: [Int: FoundBody] = [:],
    whole: WholeBody? = nil
  ) {
    sessionId = record.id.description
    device = record.path?.device.description
    path = record.path.flatMap { String(validating: $0.bytes, as: UTF8.self) }
    pathBase64 = path == nil ? record.path.map { Data($0.bytes) } : nil
    state = record.isComplete ? "complete" : "receiving"
    self.size = size
    self.chunks = chunks.map {
      ChunkBody(
        index: $0.index, version: max(1, $0.version), bytes: $0.byteCount,
        sha256: DigestChain.hexadecimal($0.digest), stored: found[$0.index])
    }
    self.next = next
    chain = record.isComplete ? record.chain.map(DigestChain.hexadecimal) : nil
    stored = whole
  }

  private enum CodingKeys: CodingKey {
    case sessionId, device, path, pathBase64, state, size, chunks, next, chain, stored
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(sessionId, forKey: .sessionId)
    try container.encode(device, forKey: .device)
    try container.encode(path, forKey: .path)
    try container.encodeIfPresent(pathBase64, forKey: .pathBase64)
    try container.encode(state, forKey: .state)
    try container.encode(size, forKey: .size)
    try container.encode(chunks, forKey: .chunks)
    // Said even when there is nothing more: null.
    try container.encode(next, forKey: .next)
    try container.encodeIfPresent(chain, forKey: .chain)
    try container.encodeIfPresent(stored, forKey: .stored)
  }
}

struct CompletedBody: Encodable {
  let sessionId: String
  let size: Int64
  let chain: String
  let recording: String
}

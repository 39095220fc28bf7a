import Crypto
import Foundation
import NIOCore
import UploadProtocol

/// One small recording that a client sent whole, its bytes already checked against its digest.
struct WholeUpload: Sendable {
  let session: SessionName
  let path: RecordingPath
  /// A JSON object.
  let metadata: String
  let writer: String?
  let version: UInt32
  /// 1...`ChunkLayout.chunkBytes` bytes.
  let bytes: ByteBuffer
  /// SHA-256 of `bytes`.
  let digest: [UInt8]
}

/// Body of `POST /upload/recordings`: a line of JSON, then the bytes of all recordings one after the other.
struct RecordingsBody: Sendable {
  /// Recordings of one request.
  static let countMax = 64

  /// What the client calls each session, and the recording, or why it cannot be taken.
  let recordings: [(session: String, upload: Result<WholeUpload, ReceiverError>)]

  private struct Head: Decodable {
    let device: String
    let writer: String?
    let recordings: [Entry]
  }

  private struct Entry: Decodable {
    let sessionId: String
    let path: String?
    let pathBase64: Data?
    let metadata: JSONValue?
    let chunkVersion: UInt32?
    let bytes: Int
    let sha256: String
  }

  /// - Throws: `.badBody` when it cannot be told where a recording begins and ends; what is wrong with one alone is in
  ///   `recordings`.
  init(_ body: ByteBuffer) throws(ReceiverError) {
    guard let end = body.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else {
      throw .badBody("The body must begin with a line of JSON.")
    }
    let head = try JSON.decode(Head.self, from: Data(body.readableBytesView[..<end]))
    var rest = body
    rest.moveReaderIndex(to: end + 1)
    guard (1...Self.countMax).contains(head.recordings.count) else {
      throw .badBody("There must be 1 to \(Self.countMax) recordings.")
    }
    let isCut = head.recordings.allSatisfy { (1...ChunkLayout.chunkBytes).contains($0.bytes) }
    guard isCut, head.recordings.reduce(0, { $0 + $1.bytes }) == rest.readableBytes else {
      throw .badBody("What follows the first line must be as long as all recordings together; none may be empty.")
    }
    let writer = try Writer.check(head.writer)
    var recordings: [(session: String, upload: Result<WholeUpload, ReceiverError>)] = []
    for entry in head.recordings {
      guard let bytes = rest.readSlice(length: entry.bytes) else { throw .badBody("The body ended early.") }
      do throws(ReceiverError) {
        recordings.append((entry.sessionId, .success(try Self.upload(entry, head.device, writer, bytes))))
      } catch { recordings.append((entry.sessionId, .failure(error))) }
    }
    self.recordings = recordings
  }

  private static func upload(
    _ entry: Entry, _ device: String, _ writer: String?, _ bytes: ByteBuffer
  ) throws(ReceiverError) -> WholeUpload {
    guard let session = SessionName(entry.sessionId) else { throw .badSession }
    let names = AnnouncementBody(
      device: device, path: entry.path, pathBase64: entry.pathBase64, metadata: entry.metadata, writer: nil)
    let announcement = try names.announcement(session: session)
    guard let path = announcement.path else { throw .badPath("A recording needs a path.") }
    let version = entry.chunkVersion ?? 1
    guard version >= 1 else { throw .badVersion }
    guard let digest = ChunkDigest(hex: entry.sha256) else { throw .badDigest }
    guard bytes.sha256 == digest.bytes else { throw .digestMismatch }
    return WholeUpload(
      session: session, path: path, metadata: announcement.metadata ?? "{}", writer: writer, version: version, bytes: bytes,
      digest: digest.bytes)
  }
}

/// The answer: a receipt for each recording, or why there is none, in the order in which they were sent.
struct RecordingsAnswer: Encodable {
  let recordings: [Entry]

  struct Entry: Encodable {
    let sessionId: String
    var chunkVersion: UInt32?
    var size: Int64?
    var sha256: String?
    var chain: String?
    var recording: String?
    var error: String?
    var message: String?

    init(_ session: String, _ upload: WholeUpload, _ recording: CompletedRecording) {
      sessionId = session
      chunkVersion = upload.version
      size = recording.size
      sha256 = DigestChain.hexadecimal(upload.digest)
      chain = DigestChain.hexadecimal(recording.chain)
      self.recording = recording.path.location
    }

    init(_ session: String, _ refusal: ReceiverError) {
      sessionId = session
      error = refusal.code
      message = refusal.description
    }
  }
}

import Foundation
import UploadProtocol

/// `.reelfs-manifest.json`: what a whole recording consists of, provable chunk by chunk.
struct RecordingManifestFile: Codable {
  let schemaVersion: Int
  let sessionId: String
  let device: String
  /// One of the two: the path as text, or in base64 where it is not UTF-8.
  let path: String?
  let pathBase64: Data?
  let size: Int64
  let chunkBytes: Int
  /// Base64 of all chunk digests (SHA-256), one after the other.
  let digests: Data
  /// Hexadecimal; docs/PROTOCOL.md says how it is made.
  let chain: String
  let metadata: JSONValue
  /// RFC 3339, UTC.
  let completedAt: String

  init(
    session: SessionName, path: RecordingPath, size: Int64, digests: [UInt8], chain: [UInt8], metadata: String,
    completedMilliseconds: Int64
  ) {
    schemaVersion = 1
    sessionId = session.description
    device = path.device.description
    self.path = String(validating: path.bytes, as: UTF8.self)
    pathBase64 = self.path == nil ? Data(path.bytes) : nil
    self.size = size
    chunkBytes = ChunkLayout.chunkBytes
    self.digests = Data(digests)
    self.chain = DigestChain.hexadecimal(chain)
    self.metadata = JSONValue(text: metadata) ?? .object([:])
    completedAt = Timestamp.text(milliseconds: completedMilliseconds)
  }

  var bytes: [UInt8] { JSON.encode(self) }

  /// The digests as bytes and the path, when both are as this program writes them.
  var recordingPath: RecordingPath? {
    let bytes = path.map { Array($0.utf8) } ?? pathBase64.map { Array($0) } ?? []
    return try? RecordingPath(device: device.utf8, path: bytes)
  }
}

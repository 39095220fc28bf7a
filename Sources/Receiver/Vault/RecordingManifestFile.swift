import Foundation
import NIOCore
import UploadProtocol

/// `.reelfs-manifest.json`: what a whole recording consists of, provable chunk by chunk.
struct RecordingManifestFile: Codable {
  let schemaVersion: Int
  let sessionId: String
  private(set) var device: String
  /// One of the two: the path as text, or in base64 where it is not UTF-8.
  private(set) var path: String?
  private(set) var pathBase64: Data?
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
    device = ""
    self.size = size
    chunkBytes = ChunkLayout.chunkBytes
    self.digests = Data(digests)
    self.chain = DigestChain.hexadecimal(chain)
    self.metadata = JSONValue(text: metadata) ?? .object([:])
    completedAt = Timestamp.text(milliseconds: completedMilliseconds)
    rename(to: path)
  }

  mutating func rename(to newPath: RecordingPath) {
    device = newPath.device.description
    path = String(validating: newPath.bytes, as: UTF8.self)
    pathBase64 = path == nil ? Data(newPath.bytes) : nil
  }

  /// The manifest beside a whole recording; nil when there is none that can be read.
  static func read(from folder: Directory) throws(IOFailure) -> RecordingManifestFile? {
    guard try folder.attributes(DataFolder.manifestName) != nil else { return nil }
    let file = try folder.file(DataFolder.manifestName, .read)
    let size = try file.attributes().size
    guard size <= byteCountMax else { return nil }
    var bytes = ByteBuffer()
    try file.read(into: &bytes, count: Int(size), at: 0)
    return try? JSON.decode(RecordingManifestFile.self, from: Data(bytes.readableBytesView))
  }

  /// The digests of the largest recording in base64, and everything else.
  private static let byteCountMax: Int64 = 512 << 20

  var bytes: [UInt8] { JSON.encode(self) }

  /// The digests as bytes and the path, when both are as this program writes them.
  var recordingPath: RecordingPath? {
    let bytes = path.map { Array($0.utf8) } ?? pathBase64.map { Array($0) } ?? []
    return try? RecordingPath(device: device.utf8, path: bytes)
  }
}

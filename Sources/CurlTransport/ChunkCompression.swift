package import UploadCore
import UploadProtocol
import Zstd

/// Compresses the chunks that are worth it, as long as the receiver takes them. Belongs to the uploader's thread.
package final class ChunkCompression {
  /// A frame must save a twentieth: less is not worth the receiver's time.
  private static let savedShare = 20
  /// A receiver of before compression takes the frame for the chunk, and finds other bytes than the digest names. One
  /// such answer may be damage on the way; this many in a row are not.
  private static let mismatchesMax = 2

  private let encoder: ZstdEncoder
  private var memory = CompressionMemory()
  private var mismatches = 0
  /// The receiver does not know zstd. Holds until the mount's next start.
  package private(set) var isRefused = false

  /// nil: no memory.
  package init?() {
    guard let encoder = ZstdEncoder() else { return nil }
    self.encoder = encoder
  }

  /// What travels in place of the chunk's bytes; nil: they themselves.
  package func frame(for chunk: ChunkPayload) -> [UInt8]? {
    let session = chunk.chunk.session
    guard !isRefused, memory.mayTry(session) else { return nil }
    let frame = encoder.encode(chunk.bytes, bytesMax: chunk.bytes.count - chunk.bytes.count / Self.savedShare - 1)
    if frame == nil { memory.didNotHelp(session) } else { memory.helped(session) }
    return frame
  }

  /// Looks at the answer to a compressed chunk.
  /// - Returns: whether the same chunk must be sent again as it is.
  func mustSendPlain(_ answer: HTTPAnswer) -> Bool {
    switch (answer.status, answer.decoded(ServerRefusal.self)?.error) {
    case (415, _):
      isRefused = true
      return true
    case (400, "digest_mismatch"), (400, "bad_encoding"):
      mismatches += 1
      isRefused = isRefused || mismatches >= Self.mismatchesMax
      return true
    case (200..<300, _):
      mismatches = 0
      return false
    default:
      return false
    }
  }
}

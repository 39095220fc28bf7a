import Crypto
import UploadProtocol

/// c₀ = SHA-256(32 zero bytes ‖ d₀), cᵢ = SHA-256(cᵢ₋₁ ‖ dᵢ): one value that vouches for all chunks and
/// their order.
enum DigestChain {
  /// - Parameter digests: 32 bytes a chunk, one after the other; none gives 32 zero bytes.
  static func link(_ digests: [UInt8]) -> [UInt8] {
    var chain = [UInt8](repeating: 0, count: ChunkDigest.byteCount)
    for start in stride(from: 0, to: digests.count, by: ChunkDigest.byteCount) {
      var hash = SHA256()
      hash.update(data: chain)
      hash.update(data: digests[start..<start + ChunkDigest.byteCount])
      chain = Array(hash.finalize())
    }
    return chain
  }

  static func hexadecimal(_ chain: [UInt8]) -> String {
    ChunkDigest(bytes: chain)?.description ?? ""
  }
}

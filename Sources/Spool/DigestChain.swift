internal import Crypto
internal import UploadProtocol

/// c₀ = SHA-256(32 zero bytes ‖ d₀), cᵢ = SHA-256(cᵢ₋₁ ‖ dᵢ): one value for all chunks and their order, as a receiver's
/// manifest has it (docs/PROTOCOL.md). Of no chunk: 32 zero bytes.
struct DigestChain {
  private(set) var bytes = [UInt8](repeating: 0, count: ChunkDigest.byteCount)

  mutating func append(_ digest: ChunkDigest) {
    var hash = SHA256()
    hash.update(data: bytes)
    hash.update(data: digest.bytes)
    bytes = Array(hash.finalize())
  }

  var value: ChunkDigest? { ChunkDigest(bytes: bytes) }
}

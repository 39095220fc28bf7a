import Crypto
import Hummingbird
import NIOCore
import UploadProtocol

/// `POST /upload/chunk`.
struct ChunkEndpoint: Sendable {
  let vault: Vault
  let budget: BodyBudget

  func store(_ request: Request) async throws(ReceiverError) -> Response {
    let headers = try ChunkHeaders(request.headers)
    try budget.take()
    defer { budget.release() }
    let (bytes, digest) = try await body(of: request, headers.encoding)
    guard bytes.readableBytes > 0 else {
      throw .badBody("A chunk has 1 to \(ChunkLayout.chunkBytes) bytes.")
    }
    if let expected = headers.digest, expected != digest { throw .digestMismatch }
    try await vault.store(
      ChunkUpload(
        session: headers.session, index: headers.index, version: headers.version, bytes: bytes, digest: digest,
        writer: headers.writer))
    return Reply.json(
      ReceiptBody(
        sessionId: headers.session.description, chunkIndex: headers.index, chunkVersion: headers.version,
        bytes: bytes.readableBytes, sha256: DigestChain.hexadecimal(digest)))
  }

  /// The chunk as it was recorded, however it travelled.
  private func body(
    of request: Request, _ encoding: ContentEncoding
  ) async throws(ReceiverError) -> (bytes: ByteBuffer, digest: [UInt8]) {
    let (body, digest) = try await request.collect(bytesMax: ChunkLayout.chunkBytes)
    guard encoding == .zstd else { return (body, digest) }
    let bytes = try body.decodedZstd(bytesMax: ChunkLayout.chunkBytes)
    return (bytes, bytes.withUnsafeReadableBytes { Array(SHA256.hash(data: $0)) })
  }
}

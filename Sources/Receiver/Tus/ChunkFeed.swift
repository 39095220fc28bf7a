import Crypto
import NIOCore
import UploadProtocol

/// Cuts the bytes of one request into chunks and stores them in order: one is made durable while the next arrives.
///
/// Holds at most two chunks. A chunk is stored when it is full and more follows, or at the end; so whoever stops
/// before the end can still drop the last of it.
struct ChunkFeed {
  private let vault: Vault
  private let session: SessionName
  private var index: Int
  private var version: UInt32
  private var bytes: ByteBuffer
  private var hash = SHA256()
  private var hasNewBytes = false
  private var storing: Task<Result<Void, ReceiverError>, Never>?

  /// - Parameter tail: the stored chunk that is not full yet; nil when the next byte begins a chunk.
  init(vault: Vault, session: SessionName, offset: Int64, tail: (chunk: ChunkRecord, bytes: ByteBuffer)?) {
    self.vault = vault
    self.session = session
    index = Int(offset / Int64(ChunkLayout.chunkBytes))
    version = tail.map { $0.chunk.version + 1 } ?? 1
    bytes = ByteBuffer()
    guard let tail else { return }
    bytes.reserveCapacity(ChunkLayout.chunkBytes)
    bytes.writeImmutableBuffer(tail.bytes)
    tail.bytes.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
  }

  /// - Throws: why a chunk could not be stored; nothing after it is then.
  mutating func add(_ part: ByteBuffer) async throws(ReceiverError) {
    var part = part
    while part.readableBytes > 0 {
      if bytes.readableBytes == ChunkLayout.chunkBytes { try await storeChunk() }
      bytes.reserveCapacity(ChunkLayout.chunkBytes)
      let count = min(part.readableBytes, ChunkLayout.chunkBytes - bytes.readableBytes)
      guard let piece = part.readSlice(length: count) else { return }
      piece.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
      bytes.writeImmutableBuffer(piece)
      hasNewBytes = true
    }
  }

  /// Stores what is left; when it returns everything added is durable.
  mutating func finish() async throws(ReceiverError) {
    if hasNewBytes { try await storeChunk() }
    try await settle()
  }

  /// Waits for what is being stored and drops the rest.
  mutating func drop() async {
    _ = await storing?.value
    storing = nil
  }

  private mutating func storeChunk() async throws(ReceiverError) {
    let upload = ChunkUpload(
      session: session, index: index, version: version, bytes: bytes, digest: Array(hash.finalize()),
      writer: TusUpload.writer)
    // Never two at once: were the first refused and the second stored, there would be a gap.
    try await settle()
    storing = Task { [vault] in
      do throws(ReceiverError) {
        try await vault.store(upload)
        return .success(())
      } catch { return .failure(error) }
    }
    index += 1
    version = 1
    bytes = ByteBuffer()
    hash = SHA256()
    hasNewBytes = false
  }

  private mutating func settle() async throws(ReceiverError) {
    guard let task = storing else { return }
    storing = nil
    try await task.value.get()
  }
}

import Hummingbird
import NIOCore
import UploadProtocol

/// Storing the body of one request behind what an upload has.
struct TusAppending {
  let store: TusStore
  let id: TusID
  let hold: TusLocks.Hold

  /// Bytes of a checksummed body that are kept in memory until they are checked; longer ones wait in a file.
  static let checkedInMemoryMax = ChunkLayout.chunkBytes
  /// Bytes read back from that file at a time.
  private static let stepBytes = 256 << 10

  /// What arrives is kept even when the connection breaks, unless it has a checksum, which nobody can check then.
  /// - Throws: `.tooLarge` when the body goes beyond the upload's length; then its last bytes are not kept.
  func append(_ request: Request, to upload: TusUpload) async throws(ReceiverError) {
    let room = (upload.length ?? store.limits.tusBytesMax) - upload.offset
    if let length = request.contentLength, Int64(length) > room { throw .tooLarge(bytesMax: Int(room)) }
    if let checksum = try TusChecksum(request.headers) {
      return try await appendChecked(request, checksum, room, upload)
    }
    var feed = try await store.feed(id, upload)
    var received: Int64 = 0
    var failure: ReceiverError?
    do {
      for try await part in request.body {
        hold.touch()
        received += Int64(part.readableBytes)
        guard received <= room else { throw ReceiverError.tooLarge(bytesMax: Int(room)) }
        try await feed.add(part)
        hold.touch()
      }
      if let length = request.contentLength, Int64(length) != received { failure = .badBody("The body ended early.") }
    } catch let error as ReceiverError {
      await feed.drop()
      throw error
    } catch {
      failure = .badBody("The body ended early.")
    }
    try await feed.finish()
    if let failure { throw failure }
  }

  private func appendChecked(
    _ request: Request, _ checksum: TusChecksum, _ room: Int64, _ upload: TusUpload
  ) async throws(ReceiverError) {
    if let length = request.contentLength, length <= Self.checkedInMemoryMax {
      let bytes = try await request.collect(bytesMax: length).bytes
      var hasher = checksum.hasher()
      bytes.withUnsafeReadableBytes { hasher.update($0) }
      try checksum.check(hasher)
      var feed = try await store.feed(id, upload)
      try await feed.add(bytes)
      return try await feed.finish()
    }
    let file = try await store.unnamedFile(id)
    let count = try await receive(request, into: file, checksum, room)
    var feed = try await store.feed(id, upload)
    do throws(ReceiverError) {
      var done: Int64 = 0
      while done < count {
        let (start, step) = (done, Int(min(Int64(Self.stepBytes), count - done)))
        let bytes = try await store.onDisk { () throws(IOFailure) in
          var bytes = ByteBuffer()
          try file.read(into: &bytes, count: step, at: start)
          return bytes
        }
        guard bytes.readableBytes == step else { throw .storage("a checked body is shorter than it was received") }
        try await feed.add(bytes)
        hold.touch()
        done += Int64(step)
      }
    } catch {
      await feed.drop()
      throw error
    }
    try await feed.finish()
  }

  /// - Returns: bytes of the body, which is as its checksum says.
  private func receive(
    _ request: Request, into file: OpenFile, _ checksum: TusChecksum, _ room: Int64
  ) async throws(ReceiverError) -> Int64 {
    var hasher = checksum.hasher()
    var received: Int64 = 0
    do {
      for try await part in request.body {
        hold.touch()
        let offset = received
        received += Int64(part.readableBytes)
        guard received <= room else { throw ReceiverError.tooLarge(bytesMax: Int(room)) }
        part.withUnsafeReadableBytes { hasher.update($0) }
        try await store.onDisk { () throws(IOFailure) in try file.write(part, at: offset) }
      }
    } catch let error as ReceiverError {
      throw error
    } catch {
      throw .badBody("The body ended early.")
    }
    if let length = request.contentLength, Int64(length) != received { throw .badBody("The body ended early.") }
    try checksum.check(hasher)
    return received
  }
}

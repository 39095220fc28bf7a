import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

/// Bodies in memory at once, over all connections. A permit counts until it is released.
final class BodyBudget: Sendable {
  private let free: Mutex<Int>

  init(bodiesMax: Int) { free = Mutex(bodiesMax) }

  func take() throws(ReceiverError) {
    let isTaken = free.withLock { free in
      guard free > 0 else { return false }
      free -= 1
      return true
    }
    if !isTaken { throw .busy(retryAfterSeconds: 1) }
  }

  func release() { free.withLock { $0 += 1 } }
}

extension Request {
  /// What the client says it will send; nil for a chunked body.
  var contentLength: Int? { headers[.contentLength].flatMap { Int($0) } }

  /// The whole body in one buffer that never grows, and its SHA-256, computed while the bytes are in the cache.
  /// - Throws: `.tooLarge` as soon as the body is known to be, before it is read.
  func collect(bytesMax: Int) async throws(ReceiverError) -> (bytes: ByteBuffer, digest: [UInt8]) {
    if let contentLength, contentLength > bytesMax { throw .tooLarge(bytesMax: bytesMax) }
    var bytes = ByteBuffer()
    bytes.reserveCapacity(contentLength ?? min(bytesMax, 64 << 10))
    var hash = SHA256()
    do {
      for try await part in body {
        guard bytes.readableBytes + part.readableBytes <= bytesMax else {
          throw ReceiverError.tooLarge(bytesMax: bytesMax)
        }
        part.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
        bytes.writeImmutableBuffer(part)
      }
    } catch let error as ReceiverError {
      throw error
    } catch {
      // The client is gone or speaks no HTTP; whatever is answered reaches nobody.
      throw .badBody("The body ended early.")
    }
    if let contentLength, contentLength != bytes.readableBytes { throw .badBody("The body ended early.") }
    return (bytes, Array(hash.finalize()))
  }

  /// A body in JSON.
  func decode<Value: Decodable>(_ type: Value.Type, bytesMax: Int) async throws(ReceiverError) -> Value {
    let (bytes, _) = try await collect(bytesMax: bytesMax)
    return try JSON.decode(type, from: Data(bytes.readableBytesView))
  }
}

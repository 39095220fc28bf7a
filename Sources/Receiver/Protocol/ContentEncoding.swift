import HTTPTypes
import NIOCore
import Zstd

/// How the bytes of a request's body were changed for the way (RFC 9110, section 8.4).
enum ContentEncoding: String {
  case identity, zstd

  /// - Throws: `.unknownEncoding` for any other one, and for more than one.
  init(_ headers: HTTPFields) throws(ReceiverError) {
    let text = headers[.contentEncoding]?.lowercased() ?? ""
    guard let known = text.isEmpty ? .identity : ContentEncoding(rawValue: text) else { throw .unknownEncoding }
    self = known
  }
}

extension ByteBuffer {
  /// What these zstd frames hold. However much a frame claims to hold or to need, `bytesMax` and libzstd's own 160 KiB is all
  /// the memory it gets.
  func decodedZstd(bytesMax: Int) throws(ReceiverError) -> ByteBuffer {
    var output = ByteBuffer()
    output.reserveCapacity(bytesMax)
    var failure: ZstdDecoder.Failure?
    withUnsafeReadableBytes { coded in
      _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: bytesMax) { room in
        do throws(ZstdDecoder.Failure) {
          // The buffer's capacity is rounded up; the limit is not.
          return try ZstdDecoder.decode(coded, into: UnsafeMutableRawBufferPointer(rebasing: room[..<bytesMax]))
        } catch {
          failure = error
          return 0
        }
      }
    }
    switch failure {
    case .tooLong: throw .tooLarge(bytesMax: bytesMax)
    case .unreadable(let reason): throw .badEncoding(reason)
    case nil: return output
    }
  }
}

import Dispatch
import Hummingbird
import NIOCore

/// Reads stored files on threads of their own: the disk must never hold up the tasks of other requests.
struct FileReading: Sendable {
  /// Bytes read and sent at a time; one such buffer a download.
  static let stepBytes = 128 << 10

  private let threads = DispatchQueue(label: "reelfs.receiver.read", attributes: .concurrent)

  func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(ReceiverError) -> Value
  ) async throws(ReceiverError) -> Value {
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, ReceiverError>, Never>) in
      threads.async {
        do throws(ReceiverError) { continuation.resume(returning: .success(try body())) } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }

  /// A body of exactly `range`. When the file turns out shorter, the connection breaks off: the client must not
  /// take what it got for the whole.
  func body(_ file: OpenFile, _ range: Range<Int64>) -> ResponseBody {
    ResponseBody(contentLength: range.count) { writer in
      var offset = range.lowerBound
      while offset < range.upperBound {
        let (start, count) = (offset, Int(min(Int64(Self.stepBytes), range.upperBound - offset)))
        let buffer = try await run { () throws(ReceiverError) in
          var buffer = ByteBuffer()
          do throws(IOFailure) { try file.read(into: &buffer, count: count, at: start) } catch {
            throw ReceiverError(error)
          }
          return buffer
        }
        guard buffer.readableBytes > 0 else {
          throw ReceiverError.storage("a stored file is shorter than it should be")
        }
        offset += Int64(buffer.readableBytes)
        try await writer.write(buffer)
      }
      try await writer.finish(nil)
    }
  }
}

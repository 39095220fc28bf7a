import CZstd

/// Compresses pieces of bytes, each into a frame of its own (RFC 8878). Keeps its tables from one to the next. Belongs to
/// one thread.
public struct ZstdEncoder: ~Copyable {
  /// libzstd's fastest usual level: beyond it a recording hardly gets smaller, and the thread that sends does the work.
  private static let level: Int32 = 1

  private let context: OpaquePointer

  /// nil: no memory.
  public init?() {
    guard let context = ZSTD_createCCtx() else { return nil }
    self.context = context
  }

  deinit { ZSTD_freeCCtx(context) }

  /// One frame that holds `bytes`, their number in its head.
  /// - Returns: nil when it would be longer than `bytesMax`.
  public func encode(_ bytes: [UInt8], bytesMax: Int) -> [UInt8]? {
    var hasFailed = false
    let frame = [UInt8](unsafeUninitializedCapacity: max(1, bytesMax)) { output, count in
      let result = ZSTD_compressCCtx(context, output.baseAddress, output.count, bytes, bytes.count, Self.level)
      // The only error that can happen here is that there is no room for it.
      hasFailed = ZSTD_isError(result) != 0
      count = hasFailed ? 0 : result
    }
    return hasFailed ? nil : frame
  }
}

import CZstd

/// Reads what somebody else has compressed, and does not trust it.
public enum ZstdDecoder {
  public enum Failure: Error, Equatable, Sendable {
    /// It holds more than there is room for.
    case tooLong
    /// No zstd, cut off, damaged, or made with a dictionary: libzstd's words.
    case unreadable(String)
  }

  /// Decodes the frames in `coded` into `output`, which is the window too: whatever a frame asks for, no other memory is
  /// taken than this and libzstd's own 160 KiB. Any thread.
  /// - Returns: bytes written.
  public static func decode(
    _ coded: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(Failure) -> Int {
    let promised = ZSTD_getFrameContentSize(coded.baseAddress, coded.count)
    guard promised != czstd_content_size_error() else { throw .unreadable("it does not begin as zstd does") }
    // A bomb that says so is not even begun.
    guard promised == czstd_content_size_unknown() || promised <= UInt64(output.count) else { throw .tooLong }
    guard let context = ZSTD_createDCtx() else { throw .unreadable("out of memory") }
    defer { ZSTD_freeDCtx(context) }
    let result = ZSTD_decompressDCtx(context, output.baseAddress, output.count, coded.baseAddress, coded.count)
    guard ZSTD_isError(result) == 0 else {
      if ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall { throw .tooLong }
      throw .unreadable(String(cString: ZSTD_getErrorName(result)))
    }
    return result
  }
}

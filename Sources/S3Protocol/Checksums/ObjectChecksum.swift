import UploadProtocol

extension S3Checksum {
  package init(_ algorithm: Algorithm, of bytes: [UInt8]) {
    switch algorithm {
    case .crc64nvme: self = .crc64nvme(Self.tables64.checksum(of: bytes))
    case .crc32c: self = .crc32c(Self.tables32.checksum(of: bytes))
    }
  }

  /// Of these bytes and of what follows them.
  /// - Parameters:
  ///   - next: of what follows, of the same algorithm.
  ///   - count: bytes of what follows.
  package func followed(by next: S3Checksum, count: Int64) -> S3Checksum {
    switch (self, next) {
    case (.crc64nvme(let first), .crc64nvme(let second)):
      return .crc64nvme(Self.tables64.combined(first, second, shift: Self.tables64.shift(count: count)))
    case (.crc32c(let first), .crc32c(let second)):
      return .crc32c(Self.tables32.combined(first, second, shift: Self.tables32.shift(count: count)))
    default: preconditionFailure("checksums of two algorithms cannot be combined")
    }
  }

  /// Of a whole recording, from those of its chunks, all of them of `algorithm`.
  /// - Parameters:
  ///   - chunks: one for each chunk, in order.
  ///   - size: bytes of the recording.
  package static func ofRecording(_ algorithm: Algorithm, chunks: [S3Checksum], size: Int64) -> S3Checksum {
    precondition(chunks.count == ChunkLayout.chunkCount(size: size), "a checksum for each chunk")
    precondition(chunks.allSatisfy { $0.algorithm == algorithm }, "checksums of two algorithms cannot be combined")
    return switch algorithm {
    case .crc64nvme: .crc64nvme(combined(chunks, size: size, tables64))
    case .crc32c: .crc32c(combined(chunks, size: size, tables32))
    }
  }

  /// All chunks but the last have one length, whose shift is calculated once: a tebibyte takes a tenth of a second.
  private static func combined<Word>(_ chunks: [S3Checksum], size: Int64, _ tables: ReflectedCRC<Word>) -> Word {
    let shift = tables.shift(count: Int64(ChunkLayout.chunkBytes))
    var sum: Word = 0
    for index in chunks.indices {
      let count = ChunkLayout.byteCount(of: index, size: size)
      sum = tables.combined(
        sum, Word(truncatingIfNeeded: chunks[index].number),
        shift: count == ChunkLayout.chunkBytes ? shift : tables.shift(count: Int64(count)))
    }
    return sum
  }

  private var number: UInt64 {
    switch self {
    case .crc64nvme(let value): value
    case .crc32c(let value): UInt64(value)
    }
  }

  /// NVM Express's CRC-64, x⁶⁴ + … = 0xAD93D23594C93659.
  private static let tables64 = ReflectedCRC<UInt64>(reflectedPolynomial: 0x9a6c_9329_ac4b_c9b5)
  /// Castagnoli's CRC-32, 0x1EDC6F41.
  private static let tables32 = ReflectedCRC<UInt32>(reflectedPolynomial: 0x82f6_3b78)
}

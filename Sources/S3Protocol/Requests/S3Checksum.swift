/// One of the checksums that S3 knows by `x-amz-checksum-*`. Both can be combined: the checksum of a whole object
/// follows from those of its chunks, without reading it again.
package enum S3Checksum: Sendable, Hashable {
  case crc64nvme(UInt64)
  case crc32c(UInt32)

  package enum Algorithm: String, Sendable, CaseIterable {
    case crc64nvme = "CRC64NVME"
    case crc32c = "CRC32C"

    var headerName: String { "x-amz-checksum-" + rawValue.lowercased() }
  }

  package var algorithm: Algorithm {
    switch self {
    case .crc64nvme: .crc64nvme
    case .crc32c: .crc32c
    }
  }

  /// Base64 of the number in network byte order.
  package var text: String {
    switch self {
    case .crc64nvme(let value): Base64Text.text(Self.bigEndian(value))
    case .crc32c(let value): Base64Text.text(Self.bigEndian(value))
    }
  }

  var header: S3Header { S3Header(algorithm.headerName, text) }

  private static func bigEndian(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
    stride(from: value.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}

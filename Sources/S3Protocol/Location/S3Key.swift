/// The name of an object: bytes. S3 promises its keys for UTF-8 only; a name on disk may be anything else, and is sent
/// as it is: a server that refuses it refuses this recording, not another one in its place.
package struct S3Key: Sendable, Hashable {
  /// Longest key that S3 takes.
  package static let byteCountMax = 1_024

  /// 1...`byteCountMax` bytes.
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) throws(S3ConfigurationError) {
    guard !bytes.isEmpty else { throw .emptyKey }
    guard bytes.count <= Self.byteCountMax else { throw .keyTooLong(bytes: bytes.count) }
    self.bytes = bytes
  }

  package init(_ text: String) throws(S3ConfigurationError) { try self.init(Array(text.utf8)) }
}

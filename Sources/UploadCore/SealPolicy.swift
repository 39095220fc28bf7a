public import UploadProtocol

/// When chunks that recorders touch again and again are sealed.
public struct SealPolicy: Sendable, Equatable {
  /// A rewritten chunk is sealed once nothing has touched it for so long.
  public var quiet = Span.seconds(2)
  /// A partial last chunk is sealed after so long; a rewritten one too, however busy it is, and each further time after
  /// twice as long.
  public var maxLag = Span.seconds(10)
  /// The doubling stops here: 10 s · 2⁵, so a header that is patched all day costs one chunk every 320 s.
  public var doublingsMax: UInt32 = 5
  /// Chunks sealed in one call, so that a hole of a tebibyte does not become a million events at once.
  public var batch = 1_024

  public init() {}
}

/// A chunk that is ready to be sent.
public struct SealedChunk: Sendable, Equatable {
  public let index: Int
  public let version: ChunkVersion
  public let bytes: Int

  public init(index: Int, version: ChunkVersion, bytes: Int) {
    self.index = index
    self.version = version
    self.bytes = bytes
  }
}


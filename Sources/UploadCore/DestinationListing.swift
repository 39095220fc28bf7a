public import UploadProtocol

/// Asks a destination what it holds of a session. It may block; any thread may call it but the uploader's.
public protocol DestinationListing: Sendable {
  /// Chunks from index `from` on, ascending, as many as the destination tells at once.
  /// - Parameter max: chunks that the caller can take; the destination may give fewer.
  /// - Returns: nil when the destination does not know the session.
  func page(
    of session: SessionID, from index: Int, max: Int, depth: ListingDepth
  ) throws(ListingError) -> ListedPage?
}

/// What a destination looks at before it answers.
public enum ListingDepth: String, Sendable {
  /// What it has noted down.
  case catalog
  /// The stored bytes, read again for the answer.
  case bytes
}

/// Why a destination did not say what it holds.
public struct ListingError: Error, Sendable, Equatable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

public struct ListedChunk: Sendable, Equatable {
  public let index: Int
  public let version: ChunkVersion
  public let bytes: Int
  public let digest: ChunkDigest
  /// What was read for this answer.
  public let stored: StoredBytes

  public enum StoredBytes: Sendable, Equatable {
    case notRead
    case missing
    case found(bytes: Int, digest: ChunkDigest)
  }

  public init(index: Int, version: ChunkVersion, bytes: Int, digest: ChunkDigest, stored: StoredBytes = .notRead) {
    self.index = index
    self.version = version
    self.bytes = bytes
    self.digest = digest
    self.stored = stored
  }
}

public struct ListedPage: Sendable, Equatable {
  public let chunks: [ListedChunk]
  /// Where the next page begins; nil: this is the last one.
  public let next: Int?
  /// The destination has confirmed the recording as a whole, and nothing of it changed since.
  public let isComplete: Bool
  /// Bytes of the whole recording; of one that is not complete, those from its start without a gap.
  public let size: Int64
  /// One value for all chunks and their order (docs/PROTOCOL.md); nil unless complete.
  public let chain: ChunkDigest?
  /// Only at depth `bytes`, in the first page of a complete recording.
  public let stored: StoredWhole?

  /// The whole recording's file and manifest as they were read; nil for what is not there or cannot be read.
  public struct StoredWhole: Sendable, Equatable {
    public let size: Int64?
    public let chain: ChunkDigest?

    public init(size: Int64?, chain: ChunkDigest?) {
      self.size = size
      self.chain = chain
    }
  }

  public init(
    chunks: [ListedChunk], next: Int?, isComplete: Bool, size: Int64, chain: ChunkDigest?, stored: StoredWhole?
  ) {
    self.chunks = chunks
    self.next = next
    self.isComplete = isComplete
    self.size = size
    self.chain = chain
    self.stored = stored
  }
}

public import UploadProtocol

/// What is sent for one `UploadRequest`, read from spool and journal at the moment of sending.
public enum UploadPayload: Sendable {
  case announce(SessionAnnouncement)
  case chunk(ChunkPayload)
  case complete(RecordingManifest)
  /// Not empty; those that could not be read are left out.
  case recordings([WholeRecording])
  case probe
}

public struct SessionAnnouncement: Sendable, Equatable {
  public let session: SessionID
  public let facts: SessionFacts
  /// The user's own attributes, by name without `user.`.
  public let metadata: [String: [UInt8]]
  /// The journal has no receipt of this session: what the destination holds already need not be sent.
  public let wantsListing: Bool

  public init(
    session: SessionID, facts: SessionFacts, metadata: [String: [UInt8]] = [:], wantsListing: Bool = false
  ) {
    self.session = session
    self.facts = facts
    self.metadata = metadata
    self.wantsListing = wantsListing
  }
}

/// A snapshot of one chunk: bytes and digest agree whatever the recorder does meanwhile.
public struct ChunkPayload: Sendable {
  public let chunk: ChunkID
  public let version: ChunkVersion
  public let digest: ChunkDigest
  /// 1...`ChunkLayout.chunkBytes` bytes.
  public let bytes: [UInt8]

  public init(chunk: ChunkID, version: ChunkVersion, digest: ChunkDigest, bytes: [UInt8]) {
    self.chunk = chunk
    self.version = version
    self.digest = digest
    self.bytes = bytes
  }
}

/// A small recording with all that a destination is told of it, as of one moment.
public struct WholeRecording: Sendable {
  public let announcement: SessionAnnouncement
  /// Of its only chunk.
  public let version: ChunkVersion
  public let digest: ChunkDigest
  public let bytes: [UInt8]
  public let revision: Int64

  public init(
    announcement: SessionAnnouncement, version: ChunkVersion, digest: ChunkDigest, bytes: [UInt8], revision: Int64
  ) {
    self.announcement = announcement
    self.version = version
    self.digest = digest
    self.bytes = bytes
    self.revision = revision
  }
}

/// What a whole recording consists of, as of one revision of its session.
public struct RecordingManifest: Sendable {
  public let session: SessionID
  public let facts: SessionFacts
  public let revision: Int64
  public let size: Int64
  /// Digest of chunk i at bytes `32 i ..< 32 (i + 1)`.
  public let digests: [UInt8]

  public init(session: SessionID, facts: SessionFacts, revision: Int64, size: Int64, digests: [UInt8]) {
    self.session = session
    self.facts = facts
    self.revision = revision
    self.size = size
    self.digests = digests
  }
}

public import UploadProtocol

/// One chunk of one recording, whatever its version.
public struct ChunkID: Hashable, Comparable, Sendable {
  public let session: SessionID
  public let index: Int

  public init(_ session: SessionID, _ index: Int) {
    self.session = session
    self.index = index
  }

  public static func < (left: ChunkID, right: ChunkID) -> Bool {
    (left.session, left.index) < (right.session, right.index)
  }
}

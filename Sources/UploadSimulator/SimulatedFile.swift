import UploadCore
import UploadProtocol

/// One recording: the plain file, and what the spool keeps in memory about it. A chunk's bytes are one number, different
/// for every change of them.
struct SimulatedFile {
  let session: SessionID
  var path: [UInt8]
  var size: Int64 = 0
  var contents: [UInt64] = []
  /// A writer has it open.
  var isOpen = true
  /// The settle time ends then; nil: open, or finished and told.
  var finishMoment: Instant?
  var tracker: ChunkTracker

  /// What a power cut leaves at least.
  var syncedSize: Int64 = 0
  var syncedContents: [UInt64] = []
  var isDirty = true
  /// A power cut may have rolled its versions back: one version may come with two contents then.
  var isRolledBack = false

  init(session: SessionID, path: [UInt8], now: Instant) {
    self.session = session
    self.path = path
    tracker = ChunkTracker(
      size: 0, baseVersion: .first, handedOff: ChunkSet(), reopened: [:], policy: SealPolicy(), now: now)
  }

  var facts: SessionFacts { SessionFacts(path: path, inode: UInt64(session.number)) }
  var chunkCount: Int { ChunkLayout.chunkCount(size: size) }

  mutating func resize(to newSize: Int64) {
    size = newSize
    let count = chunkCount
    if contents.count > count { contents.removeLast(contents.count - count) }
    // Holes are zeros, the same zeros everywhere.
    while contents.count < count { contents.append(0) }
  }

  mutating func sync() {
    syncedSize = size
    syncedContents = contents
    isDirty = false
  }

  /// The digest of a chunk's content; its length counts.
  func digest(of index: Int) -> ChunkDigest {
    Self.digest(contents[index], bytes: ChunkLayout.byteCount(of: index, size: size))
  }

  static func digest(_ content: UInt64, bytes: Int) -> ChunkDigest {
    let words = [content, UInt64(bytes), 0, 0]
    let all = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }
    guard let digest = ChunkDigest(bytes: all) else { preconditionFailure("4 words are 32 bytes") }
    return digest
  }
}

import UploadCore
import UploadProtocol

/// One recording: the plain file, and what the spool keeps in memory about it. A chunk's bytes are one number, different
/// for every change of them.
struct SimulatedFile {
  let session: SessionID
  var path: [UInt8]
  private(set) var size: Int64 = 0
  /// What recorders wrote: what a read must give, wherever the bytes are.
  private(set) var contents: [UInt64] = []
  /// Chunks whose local bytes are gone; a hole reads as zeros.
  private(set) var holes = ChunkSet()
  /// Fetches of evicted chunks that are on their way.
  var fetching: Set<Int> = []
  /// A writer has it open.
  var isOpen = true
  /// The settle time ends then; nil: open, or finished and told.
  var finishMoment: Instant?
  var tracker: ChunkTracker
  /// The journal was made durable in this opening, so that a power cut finds it marked as open.
  var isMarkedDurably = false

  /// What a power cut leaves at least: bytes as the disk has them, zeros for a hole.
  private(set) var syncedSize: Int64 = 0
  private(set) var syncedBytes: [UInt64] = []
  private(set) var isDirty = true
  /// A power cut may have rolled its versions back: one version may come with two contents then.
  var isRolledBack = false

  // What the checker knows beside the spool.
  /// Chunks that were given to the uploader and not taken back: the journal vouches for them.
  var vouched = ChunkSet()
  /// Chunks that were evicted once and have not changed since: nothing that happens may lose them.
  private(set) var safe = ChunkSet()

  init(session: SessionID, path: [UInt8], now: Instant) {
    self.session = session
    self.path = path
    tracker = ChunkTracker(
      size: 0, baseVersion: .first, handedOff: ChunkSet(), reopened: [:], policy: SealPolicy(), now: now)
  }

  var facts: SessionFacts { SessionFacts(path: path, inode: UInt64(session.number)) }
  var chunkCount: Int { ChunkLayout.chunkCount(size: size) }

  /// What is read from the local disk.
  func localBytes(of index: Int) -> UInt64 { holes.contains(index) ? 0 : contents[index] }

  // MARK: Changes

  mutating func resize(to newSize: Int64) {
    size = newSize
    isDirty = true
    let count = chunkCount
    if contents.count > count { contents.removeLast(contents.count - count) }
    holes.removeAll(from: count)
    safe.removeAll(from: count)
    fetching = fetching.filter { $0 < count }
    // Holes are zeros, the same zeros everywhere.
    while contents.count < count { contents.append(0) }
  }

  /// A recorder changed bytes of the chunk.
  mutating func write(_ content: UInt64, to index: Int) {
    contents[index] = content
    safe.remove(index)
    isDirty = true
  }

  /// fdatasync: bytes and size survive a power cut.
  mutating func sync() {
    syncedSize = size
    syncedBytes = contents.indices.map { localBytes(of: $0) }
    isDirty = false
  }

  // MARK: Eviction

  /// Its local bytes go. On a disk that has not written them yet they never were.
  mutating func punch(_ index: Int) {
    holes.insert(index)
    safe.insert(index)
    if index < syncedBytes.count { syncedBytes[index] = 0 }
  }

  /// Its bytes are back, but not synced.
  mutating func fill(_ index: Int) {
    holes.remove(index)
    isDirty = true
  }

  // MARK: Power cuts

  /// What was not synced is lost: all of it, none, or what the disk happened not to write; a file that was extended may
  /// end anywhere between, with zeros before its end. Which bytes are elsewhere only the journal knows.
  mutating func revert(using generator: inout SplitMix64) {
    let bytes = contents.indices.map { localBytes(of: $0) }
    contents = bytes
    holes = ChunkSet()
    fetching = []
    let kind = Int.random(in: 0..<4, using: &generator)
    guard isDirty, kind > 0 else { return }
    size = kind == 1 ? syncedSize : Int64.random(in: min(size, syncedSize)...max(size, syncedSize), using: &generator)
    contents = (0..<chunkCount).map { index in
      let synced = index < syncedBytes.count ? syncedBytes[index] : 0
      guard kind > 1, index < bytes.count else { return synced }
      // The end of an extended file alone is lost, or anything.
      if kind == 2, index >= syncedBytes.count { return bytes[index] }
      return Bool.random(using: &generator) ? bytes[index] : synced
    }
  }

  /// After a start: the journal says that this chunk's bytes are at the destination, and these they are.
  mutating func isElsewhere(_ index: Int, _ content: UInt64) {
    contents[index] = content
    holes.insert(index)
    safe.insert(index)
  }

  // MARK: Digests

  /// The digest of a chunk's content, wherever it is; its length counts.
  func digest(of index: Int) -> ChunkDigest {
    Self.digest(contents[index], bytes: ChunkLayout.byteCount(of: index, size: size))
  }

  /// The digest of what the local disk has.
  func localDigest(of index: Int) -> ChunkDigest {
    Self.digest(localBytes(of: index), bytes: ChunkLayout.byteCount(of: index, size: size))
  }

  static func digest(_ content: UInt64, bytes: Int) -> ChunkDigest {
    var words: [UInt8] = []
    words.reserveCapacity(ChunkDigest.byteCount)
    for shift in stride(from: UInt64(0), to: 64, by: 8) { words.append(UInt8(truncatingIfNeeded: content >> shift)) }
    for shift in stride(from: 0, to: 64, by: 8) { words.append(UInt8(truncatingIfNeeded: bytes >> shift)) }
    words.append(contentsOf: repeatElement(0, count: ChunkDigest.byteCount - words.count))
    guard let digest = ChunkDigest(bytes: words) else { preconditionFailure("4 words are 32 bytes") }
    return digest
  }

  /// The content that `digest` was made of: what travels back from the receiver.
  static func content(of digest: ChunkDigest) -> UInt64 {
    digest.bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

internal import CLinux
internal import Crypto
internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import UploadCore
internal import UploadProtocol

// After a power cut: bytes that the destination has and that the disk has lost are taken back before anything relies on
// what lies here instead of them. The journal's receipts decide: local bytes that differ from one are older, or were never
// synced, for fsync makes the journal durable before the bytes.
extension Recording {
  /// What a look at a stored chunk came to.
  enum Comparison {
    /// The bytes are here, now at least.
    case isHere
    /// The destination has others than the journal says (its last receipts were lost), or, nil, none.
    case differs([UInt8]?)
  }

  /// Makes the recording as long as it was, as far as the destination has it. Holds `hydrating`.
  func regainLength() throws(SpoolError) {
    let size = try Backing.status(descriptor).size
    let end: Int64
    do throws(JournalError) { end = try spool.journal.storedEnd(of: session, from: size) } catch { throw SpoolError(error) }
    if end > size { try Backing.truncate(descriptor, to: end) }
  }

  /// Compares a stored chunk with its digest; one that the disk has lost is fetched back. Holds `hydrating`.
  func compare(_ index: Int) throws(SpoolError) -> Comparison {
    let chunk = ChunkID(session, index)
    let stored: (bytes: Int, digest: ChunkDigest)?
    do throws(JournalError) { stored = try spool.journal.storedDigest(chunk) } catch { throw SpoolError(error) }
    // Evicted, open or cut off meanwhile.
    guard let stored else { return .isHere }
    let start = Int64(index) * Int64(ChunkLayout.chunkBytes)
    let here = try Backing.read(descriptor, at: start, count: stored.bytes)
    if ChunkDigest(bytes: SHA256.hash(data: here)) == stored.digest { return .isHere }
    let there: [UInt8]
    do {
      there = try spool.fetch(chunk)
    } catch let error as SpoolError where error == .missing {
      return .differs(nil)
    } catch {
      throw .io(.ioError, what: "fetching chunk \(index) back, which a power cut took: \(error)")
    }
    guard ChunkDigest(bytes: SHA256.hash(data: there)) == stored.digest else { return .differs(there) }
    guard try place(there, index, unless: { !$0.unchecked.contains(index) }) else { return .isHere }
    try synchronizeBacking(dataOnly: true)
    account()
    return .isHere
  }

  /// A power cut may have taken its bytes.
  func isUnchecked(_ index: Int) -> Bool { state.withLock { $0.unchecked.contains(index) } }

  /// For a reader or writer that comes before the background check. Holds `hydrating`.
  func regain(_ index: Int) throws(SpoolError) {
    guard case .isHere = try compare(index) else {
      throw .io(.ioError, what: "chunk \(index) differs here and at the destination after a power cut")
    }
    state.withLock { $0.unchecked.remove(index) }
  }

  /// Compares all that is stored; in the background. - Throws: while the destination is away and bytes are missing.
  func regainAll(mustStop: () -> Bool) throws(SpoolError) {
    try loadEvicted()
    for index in state.withLock({ $0.unchecked.indexes }) {
      if mustStop() { return }
      let outcome = try hydrating.withLock { _ throws(SpoolError) -> Comparison in
        guard state.withLock({ $0.unchecked.contains(index) }) else { return .isHere }
        let outcome = try compare(index)
        if case .isHere = outcome { state.withLock { $0.unchecked.remove(index) } }
        return outcome
      }
      if case .differs(let bytes) = outcome { try settle(index, bytes) }
    }
  }

  /// The destination's later bytes are taken, and sent as the next version, which it then has already; without any, those
  /// on the disk are sent.
  private func settle(_ index: Int, _ bytes: [UInt8]?) throws(SpoolError) {
    let writer = try spool.tree.reading { () throws(SpoolError) in try spool.open(inode, forWriting: true) }
    defer { writer.closed(forWriting: true) }
    // Cut off meanwhile: the receipt is gone with it. As long as the chunk counts as unchecked nobody else writes to it.
    if let bytes { guard try place(bytes, index, unless: { !$0.unchecked.contains(index) }) else { return } }
    let isThere = state.withLock { state in
      defer { state.unchecked.remove(index) }
      return state.unchecked.contains(index)
    }
    if isThere { try resend(index, count: bytes?.count ?? 1) }
  }
}

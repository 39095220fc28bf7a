internal import Crypto
internal import SystemPackage
internal import UploadCore
internal import UploadProtocol

/// Compares single chunks of one recording: bytes here, row in the journal, and what the destination lists.
struct ChunkCheck {
  let session: SessionID
  let file: FileDescriptor
  let size: Int64
  let journal: any DestinationJournal
  let listing: any DestinationListing
  let depth: ListingDepth

  /// A recorder may rewrite a chunk between the look into the journal, at the bytes and at the destination. After so many
  /// rounds that it was faster it counts as pending, which it is.
  private static let roundsMax = 3

  func page(from index: Int, max: Int) throws(VerificationError) -> ListedPage? {
    do throws(ListingError) { return try listing.page(of: session, from: index, max: max, depth: depth) } catch {
      throw VerificationError(error)
    }
  }

  /// Every chunk of `indexes`, with its row if it has one.
  func rows(_ indexes: Range<Int>) throws(VerificationError) -> [(index: Int, row: JournaledChunk?)] {
    do throws(JournalError) {
      let rows = Dictionary(try journal.chunkRows(of: session, indexes).map { ($0.index, $0) }) { $1 }
      return indexes.map { ($0, rows[$0]) }
    } catch { throw VerificationError(error) }
  }

  /// - Returns: the digest of the bytes here, or of the receipt where they are not here; nil while it is pending.
  func compare(
    _ index: Int, _ row: JournaledChunk?, _ listed: ListedChunk?, _ verdict: inout RecordingVerdict
  ) throws(VerificationError) -> ChunkDigest? {
    var (row, listed) = (row, listed)
    for _ in 0..<Self.roundsMax {
      guard let stored = row, stored.state == .stored || stored.state == .evicted, let receipt = stored.digest else { break }
      guard let local = digest(of: stored, receipt, &verdict) else { return nil }
      if Self.holds(listed, local, stored.bytes) {
        verdict.verifiedChunks += 1
        verdict.verifiedBytes += Int64(stored.bytes)
        if stored.state == .evicted { verdict.chunksByReceipt += 1 }
        return local
      }
      // Looked at again before it is called a difference; when everything is wrong, not ten million times.
      let isPattern = verdict.differenceCount >= RecordingVerdict.differencesMax
      let freshRow = isPattern ? row : try rows(index..<index + 1).first?.row
      let fresh = isPattern ? listed : try page(from: index, max: 1)?.chunks.first { $0.index == index }
      if freshRow == row, fresh == listed {
        let words = Self.words(listed, local: local, receipt: receipt, isHere: stored.state == .stored)
        let start = Int64(index) * Int64(ChunkLayout.chunkBytes)
        verdict.add(.init(index: index, bytes: start..<start + Int64(stored.bytes), words: words))
        return local
      }
      (row, listed) = (freshRow, fresh)
    }
    verdict.pendingChunks += 1
    verdict.pendingBytes += Int64(ChunkLayout.byteCount(of: index, size: size))
    return nil
  }

  /// Of the bytes in the spool, read now.
  private func digest(
    of row: JournaledChunk, _ receipt: ChunkDigest, _ verdict: inout RecordingVerdict
  ) -> ChunkDigest? {
    if row.state == .evicted { return receipt }
    do throws(SpoolError) {
      let bytes = try Backing.read(
        file, at: Int64(row.index) * Int64(ChunkLayout.chunkBytes), count: row.bytes)
      return ChunkDigest(bytes: SHA256.hash(data: bytes))
    } catch {
      verdict.failure = "chunk \(row.index) cannot be read from the spool: \(error)"
      return nil
    }
  }

  /// Whether the destination has these bytes, as far as it was asked to look.
  private static func holds(_ listed: ListedChunk?, _ digest: ChunkDigest, _ bytes: Int) -> Bool {
    guard let listed, listed.digest == digest, listed.bytes == bytes else { return false }
    switch listed.stored {
    case .notRead: return true
    case .missing: return false
    case .found(let count, let found): return count == bytes && found == digest
    }
  }

  /// Who of the three is alone with what it says.
  private static func words(
    _ listed: ListedChunk?, local: ChunkDigest, receipt: ChunkDigest, isHere: Bool
  ) -> String {
    guard let listed else { return "missing at the destination, which once confirmed it" }
    switch listed.stored {
    case .missing: return "the destination acknowledged it, but its bytes are not there any more"
    case .found(_, let found) where found != listed.digest:
      return "the bytes stored at the destination are not those that it acknowledged: they were changed or damaged there"
    case .found, .notRead: break
    }
    if isHere, local != receipt {
      return listed.digest == receipt
        ? "the bytes here are not those that were sent: they were changed behind reelfs' back; the destination holds what was sent"
        : "the bytes here are not those that were sent, and the destination holds yet others"
    }
    return "the destination holds other bytes than those it confirmed"
  }
}

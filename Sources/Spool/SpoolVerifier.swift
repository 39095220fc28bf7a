internal import Glibc
package import SystemPackage
package import UploadCore
public import UploadProtocol

/// Asks the destination whether it holds what was recorded, chunk by chunk, and believes nobody: local bytes are read and
/// hashed anew, and what the destination has is asked of the destination.
///
/// It changes nothing and may run beside the mount that uses the spool. Memory: one chunk, and a page of the listing.
public struct SpoolVerifier {
  private let recordings: FileDescriptor
  private let journal: any DestinationJournal
  private let listing: any DestinationListing
  private let depth: ListingDepth

  /// Chunks listed at once: little enough that a page is fresh when its last chunk has been read.
  private static let pageMax = 1_000

  /// - Parameters:
  ///   - recordings: the spool's folder; open for as long as this value is used.
  ///   - journal: of the same state directory, opened with `init(reading:)` if a mount may be running, as the destination
  ///     that is asked has it (`Journal.view`).
  package init(
    recordings: FileDescriptor, journal: any DestinationJournal, listing: any DestinationListing, depth: ListingDepth
  ) {
    self.recordings = recordings
    self.journal = journal
    self.listing = listing
    self.depth = depth
  }

  /// - Throws: when the destination cannot be asked, or the journal cannot be read: others would fare the same.
  public func verify(_ session: SessionID) throws(VerificationError) -> RecordingVerdict? {
    guard let row = try self.row(session) else { return nil }
    var verdict = RecordingVerdict(session: session, path: row.path)
    guard let file = try open(row, &verdict) else {
      // Renamed or deleted between the look into the journal and that into the spool.
      guard let fresh = try self.row(session) else { return nil }
      return fresh.path == row.path ? verdict : try verify(session)
    }
    defer { try? file.close() }
    do throws(SpoolError) { verdict.size = try Backing.status(file).size } catch {
      verdict.failure = "\(error)"
      return verdict
    }
    let check = ChunkCheck(session: session, file: file, size: verdict.size, journal: journal, listing: listing, depth: depth)
    try compare(row, check, &verdict)
    return verdict
  }

  private func row(_ session: SessionID) throws(VerificationError) -> SessionRow? {
    do throws(JournalError) { return try journal.session(session) } catch { throw VerificationError(error) }
  }

  private func open(
    _ row: SessionRow, _ verdict: inout RecordingVerdict
  ) throws(VerificationError) -> FileDescriptor? {
    do throws(SpoolError) {
      let file = try Backing.open(row.path, in: recordings, flags: O_RDONLY)
      let owner = Backing.attribute(Backing.sessionAttribute, of: file)
      if owner == nil || owner == row.session.description { return file }
      try? file.close()
      verdict.failure = "another recording has its place in the spool"
    } catch {
      verdict.failure = "its file in the spool cannot be read: \(error)"
    }
    return nil
  }

  private func compare(
    _ row: SessionRow, _ check: ChunkCheck, _ verdict: inout RecordingVerdict
  ) throws(VerificationError) {
    let count = ChunkLayout.chunkCount(size: verdict.size)
    var chain = DigestChain()
    var whole: ListedPage?
    var excess: Int?
    var from = 0
    while true {
      let page = try check.page(from: from, max: Self.pageMax)
      if from == 0 { whole = page }
      let end = min(count, page?.next ?? count)
      let listed = Dictionary((page?.chunks ?? []).map { ($0.index, $0) }) { $1 }
      // The last page may be far from the end, if it lists few chunks or none.
      for start in stride(from: from, to: end, by: Self.pageMax) {
        for (index, row) in try check.rows(start..<min(end, start + Self.pageMax)) {
          if let digest = try check.compare(index, row, listed[index], &verdict) { chain.append(digest) }
        }
      }
      excess = excess ?? page?.chunks.first { $0.index >= count }?.index
      guard let next = page?.next else { break }
      from = next
      if next >= count { break }
    }
    guard let fresh = try self.row(row.session), fresh.isSynced, fresh.revision == row.revision, row.isSynced else { return }
    guard verdict.failure == nil else { return }
    confirm(whole, chain, excess, &verdict)
  }

  /// The journal says that the destination has confirmed the recording as a whole, and it has not changed meanwhile.
  private func confirm(
    _ page: ListedPage?, _ chain: DigestChain, _ excess: Int?, _ verdict: inout RecordingVerdict
  ) {
    guard let page else { return verdict.add("the destination does not know this recording") }
    if let excess { verdict.add("the destination holds chunk \(excess), which is beyond the recording's end") }
    guard page.isComplete else {
      return verdict.add("the destination does not hold it as a whole recording, although it once said so")
    }
    if page.size != verdict.size {
      verdict.add("the whole recording has \(page.size) bytes at the destination, here \(verdict.size)")
    }
    // A chunk that differs was reported by itself, and makes the chains differ as well.
    if page.chain != chain.value, verdict.differenceCount == 0 {
      verdict.add("the destination's chain of digests is not the one of the chunks here")
    }
    if let stored = page.stored {
      if stored.size != page.size {
        let found = stored.size.map { "\($0) bytes" } ?? "not there"
        verdict.add("the whole recording's file at the destination is \(found) instead of \(page.size) bytes")
      }
      if stored.chain == nil {
        verdict.add("the manifest beside the recording at the destination is missing or cannot be read")
      } else if stored.chain != page.chain {
        verdict.add("the manifest beside the recording at the destination names other chunks")
      }
    }
    verdict.isConfirmedAsWhole = verdict.differenceCount == 0
  }
}

/// Why nothing more can be verified, in a sentence.
public enum VerificationError: Error, Sendable, Equatable, CustomStringConvertible {
  case destination(String)
  case journal(String)

  init(_ error: ListingError) { self = .destination(error.description) }
  init(_ error: JournalError) { self = .journal("the journal cannot be read: \(error.message)") }

  public var description: String {
    switch self {
    case .destination(let words), .journal(let words): words
    }
  }
}

internal import Crypto
public import UploadCore
internal import UploadProtocol

/// Gathers what destinations of other geometries than chunks are sent. Used on the uploader thread only.
public struct ExchangeSource: TransferSource {
  private let spool: Spool
  private let journal: any DestinationJournal

  /// For the first destination.
  public init(spool: Spool) { self.init(spool: spool, journal: spool.journal) }

  package init(spool: Spool, journal: any DestinationJournal) { (self.spool, self.journal) = (spool, journal) }

  public mutating func load(_ request: UploadRequest) -> LoadedTransfer<ExchangePayload> {
    guard let session = request.session else { return .payload(.probe) }
    do throws(JournalError) { return try exchange(request, session) } catch { return .outcome(.unreadable(error.message)) }
  }

  private func exchange(
    _ request: UploadRequest, _ session: SessionID
  ) throws(JournalError) -> LoadedTransfer<ExchangePayload> {
    guard let row = try journal.session(session) else { return .outcome(.stale) }
    let (spool, journal) = (spool, journal)
    return .payload(
      .exchange(
        SessionExchange(
          request: request, announcement: spool.announcement(of: row), revision: row.revision, size: row.size,
          isFinished: row.isFinished, isSynced: row.isSynced, remote: try journal.remoteFacts(of: session),
          rows: { indexes throws(SourceError) in try journal.sourceRows(of: session, indexes) },
          read: { indexes throws(SourceError) in try spool.snapshot(of: session, indexes) })))
  }
}

extension DestinationJournal {
  fileprivate func sourceRows(of session: SessionID, _ indexes: Range<Int>) throws(SourceError) -> [ChunkRow] {
    do { return try rows(of: session, indexes) } catch { throw SourceError(.unreadable(error.message)) }
  }
}

extension Spool {
  /// Versions first, bytes after, as with single chunks: bytes that change in between belong to a later version.
  fileprivate func snapshot(of session: SessionID, _ indexes: Range<Int>) throws(SourceError) -> RunSnapshot {
    // As they are here, whatever the one destination has.
    let rows = try journal.sourceRows(of: session, indexes)
    guard rows.count == indexes.count, rows.allSatisfy({ $0.state != .open }) else { throw SourceError(.stale) }
    guard rows.dropLast().allSatisfy({ $0.bytes == ChunkLayout.chunkBytes }) else { throw SourceError(.stale) }
    do {
      let recording = try recording(of: session)
      let evicted = rows.filter { $0.state == .evicted }.map(\.index)
      if let first = evicted.first { throw SourceError(fetchBack(recording, from: first)) }
      let count = rows.reduce(0) { $0 + $1.bytes }
      let bytes = try Backing.read(
        recording.descriptor, at: Int64(indexes.lowerBound) * Int64(ChunkLayout.chunkBytes), count: count)
      guard bytes.count == count else {
        throw SourceError(.unreadable("chunks \(indexes) have \(bytes.count) bytes, \(count) were sealed"))
      }
      let chunks = Self.digested(rows, bytes)
      for chunk in chunks {
        if let outcome = try doubt(recording, chunk.index, chunk.version, chunk.digest) { throw SourceError(outcome) }
      }
      return RunSnapshot(chunks: chunks, bytes: bytes)
    } catch let error as SourceError {
      throw error
    } catch let error as SpoolError {
      throw SourceError(error == .missing ? .stale : .unreadable("\(error)"))
    } catch {
      throw SourceError(.unreadable("\(error)"))
    }
  }

  /// Chunks that were given up here are fetched on another thread; the retry finds them here.
  func fetchBack(_ recording: Recording, from index: Int) -> TransferOutcome {
    fetchBack.begin(recording, from: index)
    return .notHere("chunk \(index) is not here any more and is being fetched back")
  }

  /// With several destinations: a version means the same bytes to all of them, also after a power cut took those here.
  /// - Returns: why these bytes must not be sent as this version.
  func doubt(
    _ recording: Recording, _ index: Int, _ version: ChunkVersion, _ digest: ChunkDigest
  ) throws(JournalError) -> TransferOutcome? {
    guard journal.hasCopies, let receipt = try journal.receipt(of: ChunkID(recording.session, index), version), receipt != digest
    else { return nil }
    if recording.isUnchecked(index) {
      fetchBack.check(recording, index)
      return .notHere("chunk \(index) is being compared with what a destination has, after a power cut")
    }
    return .unreadable(
      "chunk \(index) has other bytes here than a destination was sent: they were changed behind reelfs' back; "
        + "reelfs verify tells more")
  }

  private static func digested(_ rows: [ChunkRow], _ bytes: [UInt8]) -> [StoredChunk] {
    var start = 0
    return rows.map { row in
      defer { start += row.bytes }
      var hash = SHA256()
      bytes.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[start..<start + row.bytes])) }
      // SHA-256 always has the bytes that a digest needs.
      return StoredChunk(index: row.index, version: row.version, digest: ChunkDigest(bytes: hash.finalize())!)
    }
  }
}

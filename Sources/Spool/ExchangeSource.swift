internal import Crypto
public import UploadCore
internal import UploadProtocol

/// Gathers what destinations of other geometries than chunks are sent. Used on the uploader thread only.
public struct ExchangeSource: TransferSource {
  private let spool: Spool

  public init(spool: Spool) { self.spool = spool }

  public mutating func load(_ request: UploadRequest) -> LoadedTransfer<ExchangePayload> {
    guard let session = request.session else { return .payload(.probe) }
    do throws(JournalError) { return try exchange(request, session) } catch { return .outcome(.unreadable(error.message)) }
  }

  private func exchange(
    _ request: UploadRequest, _ session: SessionID
  ) throws(JournalError) -> LoadedTransfer<ExchangePayload> {
    guard let row = try spool.journal.session(session) else { return .outcome(.stale) }
    let spool = spool
    return .payload(
      .exchange(
        SessionExchange(
          request: request, announcement: spool.announcement(of: row), revision: row.revision, size: row.size,
          isFinished: row.isFinished, isSynced: row.isSynced, remote: try spool.journal.remoteFacts(of: session),
          rows: { indexes throws(SourceError) in try spool.rows(of: session, indexes) },
          read: { indexes throws(SourceError) in try spool.snapshot(of: session, indexes) })))
  }
}

extension Spool {
  fileprivate func rows(of session: SessionID, _ indexes: Range<Int>) throws(SourceError) -> [ChunkRow] {
    do { return try journal.rows(of: session, indexes) } catch { throw SourceError(.unreadable(error.message)) }
  }

  /// Versions first, bytes after, as with single chunks: bytes that change in between belong to a later version.
  fileprivate func snapshot(of session: SessionID, _ indexes: Range<Int>) throws(SourceError) -> RunSnapshot {
    let rows = try rows(of: session, indexes)
    guard rows.count == indexes.count, rows.allSatisfy({ $0.state != .open }) else { throw SourceError(.stale) }
    guard rows.dropLast().allSatisfy({ $0.bytes == ChunkLayout.chunkBytes }) else { throw SourceError(.stale) }
    do {
      let recording = try recording(of: session)
      let evicted = rows.filter { $0.state == .evicted }.map(\.index)
      guard evicted.isEmpty else {
        // They are fetched on another thread; the retry finds them here.
        prefetch(recording, evicted)
        throw SourceError(.unreadable("chunk \(evicted[0]) is only at the destination and is being fetched back"))
      }
      let count = rows.reduce(0) { $0 + $1.bytes }
      let bytes = try Backing.read(
        recording.descriptor, at: Int64(indexes.lowerBound) * Int64(ChunkLayout.chunkBytes), count: count)
      guard bytes.count == count else {
        throw SourceError(.unreadable("chunks \(indexes) have \(bytes.count) bytes, \(count) were sealed"))
      }
      return RunSnapshot(chunks: Self.digested(rows, bytes), bytes: bytes)
    } catch let error as SourceError {
      throw error
    } catch let error as SpoolError {
      throw SourceError(error == .missing ? .stale : .unreadable("\(error)"))
    } catch {
      throw SourceError(.unreadable("\(error)"))
    }
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

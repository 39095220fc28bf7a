internal import Crypto
public import UploadCore
public import UploadProtocol

/// Reads what is sent, at the moment it is sent. Used on the uploader thread only.
public struct SpoolSource: TransferSource {
  private let spool: Spool
  private let journal: any DestinationJournal
  /// Sessions of which this process has sent bytes: a listing could be older than what is on its way. 8 bytes a session.
  private var sent: Set<SessionID> = []

  /// For the first destination.
  public init(spool: Spool) { self.init(spool: spool, journal: spool.journal) }

  package init(spool: Spool, journal: any DestinationJournal) { (self.spool, self.journal) = (spool, journal) }

  public mutating func load(_ request: UploadRequest) -> LoadedTransfer<UploadPayload> {
    do {
      switch request {
      case .probe: return .payload(.probe)
      case .announce(let session): return try announcement(session)
      case .chunk(let chunk): return try self.chunk(chunk)
      case .complete(let session): return try manifest(session)
      case .recordings(let batch): return try recordings(batch)
      case .run: return .outcome(.unreadable("this destination takes single chunks"))
      }
    } catch let error as SpoolError {
      return .outcome(error == .missing ? .stale : .unreadable("\(error)"))
    } catch {
      return .outcome(.unreadable("\(error)"))
    }
  }

  private func announcement(_ session: SessionID) throws -> LoadedTransfer<UploadPayload> {
    guard let row = try journal.session(session) else { return .outcome(.stale) }
    let wantsListing = journal.keepsListings && row.storedChunks == 0 && !sent.contains(session)
    return .payload(.announce(spool.announcement(of: row, wantsListing: wantsListing)))
  }

  /// Version first, bytes after: bytes that change in between belong to a later version, whose reopening the journal
  /// holds by then, so that an answer about this one counts for nothing.
  private mutating func chunk(_ chunk: ChunkID) throws -> LoadedTransfer<UploadPayload> {
    guard let sendable = try journal.sendable(chunk) else { return .outcome(.stale) }
    let recording = try spool.recording(of: chunk.session)
    guard sendable.isHere else { return .outcome(spool.fetchBack(recording, from: chunk.index)) }
    let bytes = try Backing.read(
      recording.descriptor, at: Int64(chunk.index) * Int64(ChunkLayout.chunkBytes), count: sendable.bytes)
    guard bytes.count == sendable.bytes, let digest = ChunkDigest(bytes: SHA256.hash(data: bytes)) else {
      return .outcome(.unreadable("chunk \(chunk.index) has \(bytes.count) bytes, \(sendable.bytes) were sealed"))
    }
    if let outcome = try spool.doubt(recording, chunk.index, sendable.version, digest) { return .outcome(outcome) }
    guard let known = try journal.settleKnown(chunk, sendable, digest) else { return .outcome(.stale) }
    // Nothing was sent: no byte counts against a rate limit.
    if known.isStored { return .outcome(.stored(known.version, digest, bytes: 0)) }
    sent.insert(chunk.session)
    return .payload(.chunk(ChunkPayload(chunk: chunk, version: known.version, digest: digest, bytes: bytes)))
  }

  /// One that cannot be read as it is now is left out: chunk by chunk it is asked for again.
  private mutating func recordings(_ batch: [SessionID]) throws(JournalError) -> LoadedTransfer<UploadPayload> {
    let loaded = try journal.wholes(batch).compactMap { row, chunk in try? whole(row, chunk) }
    for recording in loaded { sent.insert(recording.announcement.session) }
    return loaded.isEmpty ? .outcome(.recordingsStored([])) : .payload(.recordings(loaded))
  }

  /// As with chunks: the version first, then the bytes.
  private func whole(_ row: SessionRow, _ chunk: SendableChunk) throws -> WholeRecording? {
    let recording = try spool.recording(of: row)
    guard chunk.isHere, row.isFinished, row.size == Int64(chunk.bytes) else { return nil }
    let announcement = spool.announcement(of: row)
    guard announcement.byteCount <= Self.announcementBytesMax else { return nil }
    let bytes = try Backing.read(recording.descriptor, at: 0, count: chunk.bytes)
    guard bytes.count == chunk.bytes, let digest = ChunkDigest(bytes: SHA256.hash(data: bytes)),
      try spool.doubt(recording, 0, chunk.version, digest) == nil
    else { return nil }
    return WholeRecording(
      announcement: announcement, version: chunk.version, digest: digest, bytes: bytes, revision: row.revision)
  }

  /// Path and attributes of a recording that travels whole; as JSON they take at most six times as much, and with the rest
  /// of its entry less than the 3 KiB that `UploadScheduler.recordingsBytesMax` counts on.
  private static let announcementBytesMax = 400

  private func manifest(_ session: SessionID) throws -> LoadedTransfer<UploadPayload> {
    if let manifest = try journal.manifest(of: session) { return .payload(.complete(manifest)) }
    let missing = try journal.sealedIndexes(of: session, max: 10_000)
    if !missing.isEmpty { return .outcome(.incomplete(missing: missing)) }
    // A writer has it open again; a further destination hears of that a moment later.
    if try journal.session(session)?.isFinished == false { return .outcome(.notHere("the recording is being written again")) }
    return .outcome(.unreadable("the journal lacks chunks of this recording"))
  }
}

extension SessionAnnouncement {
  /// Of path and attributes.
  fileprivate var byteCount: Int { metadata.reduce(facts.path.count) { $0 + $1.key.utf8.count + $1.value.count } }
}

extension Spool {
  /// The destination says what it holds of a session that the journal has no receipt of. On the uploader thread.
  public func learn(_ session: SessionID, _ listed: [ListedChunk]) {
    guard !listed.isEmpty, let recording = try? recording(of: session) else { return }
    do {
      let size = try Backing.status(recording.descriptor).size
      try journal.learn(listed, of: session, evicted: try recording.knownEvicted(), size: size)
    } catch {
      // What is not learned is sent again, or fetched back.
    }
  }

  /// Attributes beginning with this are ours; the rest of `user.` travels along.
  static let ownPrefixes = [Array("user.reelfs.".utf8), Array("user.sync.".utf8)]

  func announcement(of row: SessionRow, wantsListing: Bool = false) -> SessionAnnouncement {
    let metadata = (try? tree.reading { () throws(SpoolError) in try userAttributes(of: row.inode) }) ?? [:]
    return SessionAnnouncement(
      session: row.session, facts: SessionFacts(path: row.path, inode: row.inode), metadata: metadata,
      wantsListing: wantsListing)
  }

  /// The user's own attributes of a recording, by name without `user.`. Within `tree.reading`.
  func userAttributes(of inode: UInt64) throws(SpoolError) -> [String: [UInt8]] {
    let place = try tree.place(inode)
    var attributes: [String: [UInt8]] = [:]
    for name in try Backing.attributeNames(of: place)
    where name.starts(with: Array("user.".utf8)) && !Self.ownPrefixes.contains(where: { name.starts(with: $0) }) {
      attributes[String(decoding: name.dropFirst(5), as: UTF8.self)] = try Backing.attribute(name, of: place)
    }
    return attributes
  }
}

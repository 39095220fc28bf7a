package import UploadCore
package import UploadProtocol
internal import GRDB

/// The journal as the uploader of one destination sees it: what that destination has, and what it lacks.
///
/// `Journal` itself is that of the first destination, whose uploader also records what recorders and people do;
/// `JournalCopy` is that of a further one.
package protocol DestinationJournal: UploadJournal, Sendable {
  /// What the destination lists of sessions that the journal has no receipts of counts (`Journal.learn`).
  var keepsListings: Bool { get }
  func session(_ session: SessionID) throws(JournalError) -> SessionRow?
  /// What the scheduler starts with: every session that is not synced, or whose name the destination does not know.
  /// - Parameter withSealed: also which chunks are sealed; costs a look at every row.
  func restored(withSealed: Bool) throws(JournalError) -> [(SessionID, RestoredSession)]
  /// nil when the chunk is open, stored or gone: nothing to send.
  func sendable(_ chunk: ChunkID) throws(JournalError) -> SendableChunk?
  /// The first chunks of these sessions with the sessions' rows, as of one moment; those that are not sealed are left out.
  func wholes(_ sessions: [SessionID]) throws(JournalError) -> [(SessionRow, SendableChunk)]
  /// Uses up what is known of a sealed chunk that has just been read as these bytes (`Journal.learn`).
  /// - Returns: the version to send it as, and whether the destination has it already; nil when it changed meanwhile.
  func settleKnown(
    _ chunk: ChunkID, _ sendable: SendableChunk, _ digest: ChunkDigest
  ) throws(JournalError) -> (version: ChunkVersion, isStored: Bool)?
  /// nil unless every chunk of the recording is stored.
  func manifest(of session: SessionID) throws(JournalError) -> RecordingManifest?
  /// Chunks that are sealed and not stored, ascending.
  func sealedIndexes(of session: SessionID, max: Int) throws(JournalError) -> [Int]
  /// Chunks of a range, ascending.
  func rows(of session: SessionID, _ indexes: Range<Int>) throws(JournalError) -> [ChunkRow]
  /// Rows of the chunks in `indexes`, ascending; those without a row are left out.
  func chunkRows(of session: SessionID, _ indexes: Range<Int>) throws(JournalError) -> [JournaledChunk]
  /// The sessions that the destination told this of.
  func sessions(withRemoteFact name: String) throws(JournalError) -> [SessionID]
  /// What the destination told of a session, by name.
  func remoteFacts(of session: SessionID) throws(JournalError) -> [String: String]
}

extension Journal: DestinationJournal {
  /// Of every destination that it knows anything of, in use or not.
  package func everyView() throws(JournalError) -> [any DestinationJournal] {
    let known = try read { db in
      try Row.fetchAll(db, sql: "SELECT id, name FROM destinations ORDER BY id").map { (id: $0[0] as Int64, name: $0[1] as String) }
    }
    return [self] + known.map { JournalCopy(journal: self, id: $0.id, name: $0.name) }
  }

  package var keepsListings: Bool { true }
}

public import UploadCore
public import UploadProtocol
internal import Foundation
internal import GRDB
internal import Synchronization

/// The journal as the uploader of a further destination sees it (`reelfs mount --also`).
///
/// What is known of recordings is shared; what a further destination has of them is its own. So this records only what its
/// destination said, and ignores facts about recorders and people: the first destination's uploader has recorded them.
public struct JournalCopy: Sendable {
  let journal: Journal
  /// In the table of destinations.
  let id: Int64
  /// How the destination is called there.
  public let name: String

  /// SQL: a session's columns as `SessionRow` reads them, and where they come from.
  var columns: String {
    """
    s.number, s.path, s.inode, s.size, s.content + COALESCE(p.setbacks, 0), s.is_open, s.is_finished,
    COALESCE(p.synced_revision = s.content + p.setbacks, 0), COALESCE(p.is_announced, 0), p.failure, s.priority, s.is_held,
    COALESCE(p.stored_chunks, 0), COALESCE(p.stored_bytes, 0), COALESCE(p.stored_through, 0), p.synced_at, s.sha256
    """
  }
  var tables: String { "sessions s LEFT JOIN session_copies p ON p.session = s.number AND p.destination = \(id)" }

  /// SQL: the destination has the chunk `c`.
  var hasChunk: String {
    "EXISTS (SELECT 1 FROM chunk_copies k WHERE k.session = c.session AND k.idx = c.idx AND k.destination = \(id))"
  }
}

extension Journal {
  /// The further destinations of this mount from now on, in this order. What others have does not count meanwhile, and is
  /// remembered should they come back.
  /// - Parameters:
  ///   - wanted: names different from each other and without secrets, and when each gives back what it has.
  ///   - first: the name of the first destination; remembered for `orderComplaint`.
  public func useCopies(
    _ wanted: [(name: String, rule: EvictionRule)], first: String? = nil
  ) throws(JournalError) -> [JournalCopy] {
    let ids = try write { db in
      if let first {
        try db.execute(
          sql: "INSERT OR REPLACE INTO settings (name, value) VALUES ('first_destination', ?)", arguments: [first])
      }
      return try wanted.map { name, _ in
        try db.execute(sql: "INSERT OR IGNORE INTO destinations (name) VALUES (?)", arguments: [name])
        return try Int64.fetchOne(db, sql: "SELECT id FROM destinations WHERE name = ?", arguments: [name]) ?? 0
      }
    }
    copiesInUse.withLock { $0 = zip(ids, wanted).map { CopyInUse(id: $0, rule: $1.rule) } }
    return zip(ids, wanted).map { JournalCopy(journal: self, id: $0, name: $1.name) }
  }

  /// What is recorded of the first destination would be taken for another's if they changed places.
  /// - Returns: a sentence when `first` was a further one before, or the first one of before is in `others` now.
  public func orderComplaint(first: String, others: [String]) throws(JournalError) -> String? {
    guard let before = try setting("first_destination"), before != first else { return nil }
    let wasFurther = try read { db in
      try Int.fetchOne(db, sql: "SELECT 1 FROM destinations WHERE name = ?", arguments: [first]) != nil
    }
    guard wasFurther || others.contains(before) else { return nil }
    return "these recordings went to \(before) first: keep it first and name \(first) with --also, or use another --state-dir"
  }

  /// Where the first destination's receipts are from; nil: nothing was sent yet.
  public var firstDestination: String? { (try? setting("first_destination")) ?? nil }

  var hasCopies: Bool { copiesInUse.withLock { !$0.isEmpty } }

  /// SQL: the further destinations in use.
  private var copyList: String { "(" + copiesInUse.withLock { $0 }.map { String($0.id) }.joined(separator: ", ") + ")" }

  /// SQL: some further destination in use has the chunk `c`; nil without any.
  var isCopied: String? {
    guard hasCopies else { return nil }
    return """
      EXISTS (SELECT 1 FROM chunk_copies k WHERE k.session = c.session AND k.idx = c.idx AND k.destination IN \(copyList))
      """
  }

  /// SQL: the state of chunk `c`, which counts as sealed while a further destination in use lacks it.
  var stateEverywhere: String {
    let count = copiesInUse.withLock { $0.count }
    guard count > 0 else { return "c.state" }
    return """
      CASE WHEN c.state >= 2 AND (SELECT COUNT(*) FROM chunk_copies k
        WHERE k.session = c.session AND k.idx = c.idx AND k.destination IN \(copyList)) < \(count) THEN 1 ELSE c.state END
      """
  }

  /// SQL, to follow another condition: every further destination in use has the chunk `c` for good, so that its bytes here are
  /// not needed for it. One that does not give single chunks back (S3, tus) may yet ask for them until it has the whole.
  var isCopiedForGood: String {
    copiesInUse.withLock { $0 }.map { copy in
      switch copy.rule {
      case .stored:
        """
         AND EXISTS (SELECT 1 FROM chunk_copies k WHERE k.session = c.session AND k.idx = c.idx AND k.destination = \(copy.id))
         AND NOT EXISTS (SELECT 1 FROM session_copies p
          WHERE p.session = c.session AND p.destination = \(copy.id) AND p.is_doubted = 1)
        """
      case .synced, .never:
        """
         AND EXISTS (SELECT 1 FROM session_copies p JOIN sessions t ON t.number = p.session
          WHERE p.session = c.session AND p.destination = \(copy.id) AND p.synced_revision = t.content + p.setbacks)
        """
      }
    }.joined()
  }

  /// What a destination in use has acknowledged of exactly this chunk and version, the first before others; nil: none has.
  func receipt(of chunk: ChunkID, _ version: ChunkVersion) throws(JournalError) -> ChunkDigest? {
    try readSingle { db in
      try Data.fetchOne(
        db.cachedStatement(
          sql: """
            SELECT COALESCE(CASE WHEN c.state >= 2 THEN c.digest END, (SELECT k.digest FROM chunk_copies k
              WHERE k.session = c.session AND k.idx = c.idx AND k.destination IN \(copyList) ORDER BY k.destination LIMIT 1))
            FROM chunks c WHERE c.session = ? AND c.idx = ? AND c.version = ?
            """), arguments: [chunk.session.number, chunk.index, Int64(version.number)])
    }.flatMap { ChunkDigest(bytes: $0) }
  }

  /// Every destination has the recording as it is now, and nobody has been told so yet: true once for each content.
  public func claimCompletion(of session: SessionID) throws(JournalError) -> Bool {
    let count = copiesInUse.withLock { $0.count }
    guard count > 0 else { return true }
    let hooks = hooks.withLock { $0 }
    return try write { db in
      try db.execute(
        sql: """
          UPDATE sessions SET told_content = content WHERE number = ?1 AND is_synced = 1 AND told_content IS NOT content
            AND (SELECT COUNT(*) FROM session_copies p WHERE p.session = ?1
              AND p.destination IN \(copyList)
              AND p.synced_revision = sessions.content + p.setbacks) = \(count)
          """, arguments: [session.number])
      guard db.changesCount > 0 else { return false }
      try HookWriter(db: db, events: hooks).remember(.synced, of: session)
      return true
    }
  }
}

/// A further destination in use.
struct CopyInUse: Sendable {
  let id: Int64
  /// From when on it gives back what it was sent.
  let rule: EvictionRule
}

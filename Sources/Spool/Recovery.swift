internal import Glibc
public import UploadCore
public import UploadProtocol

/// Brings journal and spool together after a start: the tree is right about names and bytes, the journal about what is
/// stored. Costs one look at each file, and reads no recording.
public struct Recovery {
  /// What was found, for one line to people.
  public struct Report: Sendable, CustomStringConvertible {
    public var recordings = 0
    public var unknown = 0
    public var unfinished = 0
    public var renamed = 0
    public var deleted = 0

    public var description: String {
      var parts = ["\(recordings) recordings in the spool"]
      if unfinished > 0 { parts.append("\(unfinished) were open when reelfs ended") }
      if unknown > 0 { parts.append("\(unknown) new to the journal") }
      if renamed > 0 { parts.append("\(renamed) renamed") }
      if deleted > 0 { parts.append("\(deleted) gone") }
      return parts.joined(separator: ", ")
    }
  }

  private let spool: Spool
  public private(set) var report = Report()
  /// Recordings that were open when reelfs ended.
  public private(set) var unfinished: [SessionID] = []
  /// Inodes of recordings with evicted chunks that a new journal knows nothing of.
  public private(set) var forgotten: [UInt64] = []

  public init(spool: Spool) { self.spool = spool }

  /// Runs once, on the uploader thread, before its first turn; kernel threads may be serving already.
  /// - Returns: what the scheduler starts with. What differs between journal and tree is in the spool's mailbox then.
  public mutating func run() throws -> [UploadEvent] {
    let restored = try spool.journal.restored(withSealed: spool.plansRuns)
    var rows: [SessionID: SessionRow] = [:]
    try spool.journal.eachSession(below: []) { rows[$0.session] = $0 }
    // Names stand still meanwhile, so that no recording is missed and taken for deleted.
    try spool.tree.reading { () throws(SpoolError) in
      var found: [(inode: UInt64, path: [UInt8])] = []
      try spool.tree.eachEntry { item, path, parent in
        spool.tree.remember(item.inode, as: item.name, in: parent)
        if item.type == UInt32(S_IFREG) { found.append((item.inode, path)) }
      }
      countUsage(found)
      var (seen, inodes): (Set<SessionID>, Set<UInt64>) = ([], [])
      // Hard links are one recording, by whatever name it is met first.
      for (inode, path) in found where inodes.insert(inode).inserted { reconcile(inode, path, rows, &seen) }
      for session in rows.keys.sorted() where !seen.contains(session) {
        report.deleted += 1
        // The scheduler does not know synced sessions, and ignores news of those.
        spool.introduce(session)
        spool.post(.event(.removed(session)))
      }
    }
    removeOrphans()
    return restored.map { .restored($0, $1) }
  }

  /// Adds up what the recordings take of the disk; those that are open count themselves.
  private func countUsage(_ found: [(inode: UInt64, path: [UInt8])]) {
    for (inode, path) in found {
      if let recording = spool.knownRecording(inode) {
        recording.count()
      } else if let backing = try? Backing.status(path, in: spool.tree.root) {
        spool.usage.add(backing.blocks * 512)
      }
    }
    spool.usage.setComplete()
  }

  private mutating func reconcile(
    _ inode: UInt64, _ path: [UInt8], _ rows: [SessionID: SessionRow], _ seen: inout Set<SessionID>
  ) {
    report.recordings += 1
    // A second file with the same session is a copy made in the spool itself: a recording of its own.
    guard let session = spool.session(at: path), seen.insert(session).inserted else {
      report.unknown += 1
      forgetSession(path)
      return reseal(inode)
    }
    let facts = SessionFacts(path: path, inode: inode)
    guard let row = rows[session] else {
      report.unknown += 1
      if spool.hasEvictedMark(at: path) { forgotten.append(inode) }
      spool.post(.event(.registered(session, facts)))
      return reseal(inode)
    }
    // A hard link is met under any of its names; only one that is gone makes a new one necessary.
    let isElsewhere = row.path != path && (try? Backing.status(row.path, in: spool.tree.root))?.inode != inode
    if isElsewhere || row.inode != inode {
      report.renamed += 1
      spool.introduce(session)
      spool.post(.event(.renamed(session, facts)))
    }
    // A byte appended just before the end may be all there is to tell: the journal hears of an opening a moment later.
    let size = (try? Backing.status(path, in: spool.tree.root))?.size
    if row.isOpen || !row.isFinished || row.size != size {
      report.unfinished += 1
      unfinished.append(session)
      reseal(inode)
    }
  }

  /// Opens and closes the recording as a writer would: what the journal lacks is sealed, and it is finished, unless a
  /// recorder still has it open.
  private func reseal(_ inode: UInt64) {
    // A file that cannot be opened now (deleted this moment, or a failing disk) is left for the next start.
    guard let recording = try? spool.open(inode, forWriting: true) else { return }
    recording.closed(forWriting: true)
  }

  private func forgetSession(_ path: [UInt8]) {
    let absolute = spool.tree.rootPath + [UInt8(ascii: "/")] + path
    try? Backing.removeAttribute(Array(Backing.sessionAttribute.utf8), of: absolute)
  }

  /// Files that were deleted while a recorder had them open, and that nobody has open any more.
  private func removeOrphans() {
    guard var folder = try? BackingDirectory([UInt8(ascii: ".")], in: spool.tree.orphans) else { return }
    while let items = try? folder.next(), !items.isEmpty {
      for item in items where item.type == UInt32(S_IFREG) {
        if spool.knownRecording(item.inode)?.hasHandles == true { continue }
        try? Backing.unlink(item.name, in: spool.tree.orphans)
      }
    }
  }
}

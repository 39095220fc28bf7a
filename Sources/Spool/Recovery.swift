internal import Glibc
public import UploadCore
internal import UploadProtocol

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
    /// Recordings to be compared with the disk, because the machine or its disk was switched off.
    public var unchecked = 0

    public var description: String {
      var parts = ["\(recordings) recordings in the spool"]
      if unfinished > 0 { parts.append("\(unfinished) were open when reelfs ended") }
      if unknown > 0 { parts.append("\(unknown) new to the journal") }
      if renamed > 0 { parts.append("\(renamed) renamed") }
      if deleted > 0 { parts.append("\(deleted) gone") }
      if unchecked > 0 { parts.append("\(unchecked) to be checked after a power cut") }
      return parts.joined(separator: ", ")
    }
  }

  private let spool: Spool
  public private(set) var report = Report()
  /// Inodes of recordings with evicted chunks that a new journal knows nothing of.
  public private(set) var forgotten: [UInt64] = []

  /// While it runs: sessions and files met, and journaled sessions that were not.
  private var seen: Set<SessionID> = []
  private var inodes: Set<UInt64> = []
  private var unseen: Set<Int64> = []

  public init(spool: Spool) { self.spool = spool }

  /// Runs once, on the uploader thread, before its first turn; kernel threads may be serving already.
  /// - Returns: what the scheduler starts with. What differs between journal and tree is in the spool's mailbox then.
  public mutating func run() throws -> [UploadEvent] {
    let restored = try spool.journal.restored(withSealed: spool.plansRuns)
    unseen = Set(try spool.journal.sessionNumbers())
    try walk()
    try finishWalk()
    report.unchecked = spool.journal.uncheckedSessions.count
    removeOrphans()
    (seen, inodes, unseen) = ([], [], [])
    return restored.map { .restored($0, $1) }
  }

  /// Most of the work: a look at each file. Names stand still for one batch of one folder at a time, so that nobody who
  /// creates a file waits for the whole; what is renamed meanwhile may be missed.
  private mutating func walk() throws {
    var folders: [(path: [UInt8], inode: UInt64)] = [([], spool.tree.rootInode)]
    while let folder = folders.popLast() {
      guard var reading = try? BackingDirectory(folder.path.isEmpty ? [46] : folder.path, in: spool.tree.root, isOurs: true) else {
        continue
      }
      while let items = try? reading.next(), !items.isEmpty {
        try spool.tree.reading { () throws(SpoolError) in
          for item in items where item.name != [46] && item.name != [46, 46] {
            let path = folder.path.isEmpty ? item.name : folder.path + [UInt8(ascii: "/")] + item.name
            if meet(item, path, folder.inode), item.type == UInt32(S_IFDIR) { folders.append((path, item.inode)) }
          }
        }
      }
    }
  }

  /// Once more while no name changes, which costs only the names: what was missed is met, and what is still unseen is gone.
  private mutating func finishWalk() throws {
    try spool.tree.reading { () throws(SpoolError) in
      var missed: [(BackingDirectory.Item, [UInt8], UInt64)] = []
      try spool.tree.eachEntry { item, path, parent in
        if item.type != UInt32(S_IFREG) || !inodes.contains(item.inode) { missed.append((item, path, parent)) }
      }
      for (item, path, parent) in missed { _ = meet(item, path, parent) }
      spool.usage.setComplete()
      for recording in spool.loadedRecordings { recording.count(isKnown: inodes.contains(recording.inode)) }
      for number in unseen.sorted() {
        report.deleted += 1
        // The scheduler does not know synced sessions, and ignores news of those.
        spool.introduce(SessionID(number: number))
        spool.post(.event(.removed(SessionID(number: number))))
      }
    }
  }

  /// - Returns: whether it is there.
  private mutating func meet(_ item: BackingDirectory.Item, _ path: [UInt8], _ parent: UInt64) -> Bool {
    guard let backing = try? Backing.status(path, in: spool.tree.root), backing.inode == item.inode else { return false }
    spool.tree.remember(item.inode, as: item.name, in: parent)
    // Hard links are one recording, by whatever name it is met first.
    guard backing.isRegular, inodes.insert(item.inode).inserted else { return true }
    if let recording = spool.knownRecording(item.inode) {
      recording.count(isKnown: false)
    } else {
      spool.usage.add(backing.blocks * 512)
    }
    reconcile(backing, path)
    return true
  }

  private mutating func reconcile(_ backing: BackingStatus, _ path: [UInt8]) {
    let inode = backing.inode
    report.recordings += 1
    guard let session = spool.session(at: path) else {
      report.unknown += 1
      return reseal(inode)
    }
    // A second file with the same session is a copy made in the spool itself: a recording of its own.
    guard seen.insert(session).inserted else {
      report.unknown += 1
      forgetSession(path)
      return reseal(inode)
    }
    unseen.remove(session.number)
    let facts = SessionFacts(path: path, inode: inode)
    guard let row = (try? spool.journal.session(session)) ?? nil else {
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
    if row.isOpen || !row.isFinished || row.size != backing.size {
      report.unfinished += 1
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
    try? Backing.removeAttribute(Array(Backing.sessionAttribute.utf8), of: spool.tree.place(at: path))
  }

  /// Files that were deleted while a recorder had them open, and that nobody has open any more.
  private func removeOrphans() {
    guard var folder = try? BackingDirectory([UInt8(ascii: ".")], in: spool.tree.orphans, isOurs: true) else { return }
    while let items = try? folder.next(), !items.isEmpty {
      for item in items where item.type == UInt32(S_IFREG) {
        // Alone: a file without a name is made and opened in one step.
        try? spool.tree.changing { () throws(SpoolError) in
          if spool.knownRecording(item.inode)?.hasHandles == true { return }
          try Backing.unlink(item.name, in: spool.tree.orphans)
        }
      }
    }
  }
}

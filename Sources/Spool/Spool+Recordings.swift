internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage
internal import UploadCore
public import UploadProtocol

// Which recordings are in memory, and how they come there.
extension Spool {
  /// Opens the recording with this backing inode. Balance it with `Recording.closed`. Within `tree.reading`.
  public func open(_ inode: UInt64, forWriting writes: Bool) throws(SpoolError) -> Recording {
    // Again only when the recording was dropped from the table in between, which needs it to be idle.
    while true {
      let recording = try self.recording(inode)
      if writes { introduce(recording.session) }
      try recording.opened(forWriting: writes)
      if table.withLock({ $0.recordings[inode] === recording }) { return recording }
      recording.closed(forWriting: writes)
    }
  }

  /// The recording with this backing inode, loaded if it is not. Within `tree.reading`.
  public func recording(_ inode: UInt64) throws(SpoolError) -> Recording {
    if let known = table.withLock({ $0.recordings[inode] }) { return known }
    let (descriptor, path) = try openBacking(inode)
    guard let session = Self.session(of: descriptor) else {
      return try adopt(descriptor, inode: inode, path: path, isNew: false)
    }
    let isNamed = !tree.isOrphan(inode)
    // So young that the previous worker died before the journal heard of it.
    if isNamed, isUnknown(session) {
      post(.event(.registered(session, SessionFacts(path: path, inode: inode))))
    }
    let recording = insert(
      Recording(inode: inode, session: session, descriptor: descriptor, isNew: false, isNamed: isNamed, spool: self))
    // Whoever only reads a chunk of it never closes it.
    keepIdle(inode)
    return recording
  }

  private static func session(of file: FileDescriptor) -> SessionID? {
    Backing.attribute(Backing.sessionAttribute, of: file).flatMap { SessionID(text: $0) }
  }

  /// The journal can be read and has no such session.
  private func isUnknown(_ session: SessionID) -> Bool {
    do { return try journal.session(session) == nil } catch { return false }
  }

  /// Opens the backing file of this inode. A remembered place that has become another file's is looked for again, once.
  private func openBacking(_ inode: UInt64) throws(SpoolError) -> (FileDescriptor, path: [UInt8]) {
    for _ in 0..<2 {
      let (folder, path) = try tree.locate(inode)
      let descriptor = try Backing.open(path, in: folder, flags: O_RDWR)
      if try Backing.status(descriptor).inode == inode { return (descriptor, path) }
      try? descriptor.close()
      tree.forget(inode)
    }
    throw .missing
  }

  /// The recording, if it is open or was a moment ago.
  public func knownRecording(_ inode: UInt64) -> Recording? { table.withLock { $0.recordings[inode] } }
  /// Those that a writer has open.
  public var openRecordings: [Recording] { loadedRecordings.filter(\.hasWriters) }
  /// All of those.
  var loadedRecordings: [Recording] { table.withLock { Array($0.recordings.values) } }
  public var loadedSessions: [SessionID] { table.withLock { Array($0.bySession.keys) } }
  public func knownRecording(_ session: SessionID) -> Recording? {
    table.withLock { table in table.bySession[session].flatMap { table.recordings[$0] } }
  }
  /// The inode of a loaded recording that lies at `path` or below it now, whatever the journal knows; [] is the root.
  public func inode(of session: SessionID, below path: [UInt8]) -> UInt64? {
    guard let inode = knownRecording(session)?.inode, let place = tree.currentPath(inode) else { return nil }
    return path.isEmpty || place == path || place.starts(with: path + [UInt8(ascii: "/")]) ? inode : nil
  }

  /// Gives a session to a backing file that has none: one just created (`isNew`), or one found. Of two threads that do so
  /// at once, as the one that creates it and recovery's, the first one's session is the file's.
  public func adopt(_ descriptor: FileDescriptor, inode: UInt64, path: [UInt8], isNew: Bool) throws(SpoolError)
    -> Recording
  {
    var generator = SystemRandomNumberGenerator()
    var session = SessionID.random(using: &generator)
    do {
      try Backing.setAttribute(Backing.sessionAttribute, session.description, flags: Int32(XATTR_CREATE), of: descriptor)
    } catch .io(.fileExists, _) {
      if let first = Self.session(of: descriptor) {
        session = first
      } else {
        // Somebody else's text.
        try Backing.setAttribute(Backing.sessionAttribute, session.description, of: descriptor)
      }
    } catch .io(.notSupported, _) {
      // A file system without user attributes: the journal's inode and path must do.
    }
    let isNamed = !tree.isOrphan(inode)
    let recording = insert(
      Recording(inode: inode, session: session, descriptor: descriptor, isNew: isNew, isNamed: isNamed, spool: self))
    if isNamed, recording.session == session {
      post(.event(.registered(session, SessionFacts(path: path, inode: inode))))
    }
    return recording
  }

  /// Two threads may open the same recording at once: the first one's object serves both.
  private func insert(_ recording: Recording) -> Recording {
    table.withLock { table in
      if let known = table.recordings[recording.inode] { return known }
      table.recordings[recording.inode] = recording
      table.bySession[recording.session] = recording.inode
      return recording
    }
  }

  /// The session of a backing file that need not be open.
  public func session(of inode: UInt64) -> SessionID? {
    if let known = knownRecording(inode) { return known.session }
    guard let place = try? tree.place(inode),
      let value = try? Backing.attribute(Array(Backing.sessionAttribute.utf8), of: place)
    else { return nil }
    return SessionID(text: String(decoding: value, as: UTF8.self))
  }

  /// The last name of `inode` has gone. Within `tree.changing`.
  /// - Parameter bytes: what its file took of the disk.
  public func removed(_ inode: UInt64, session: SessionID?, bytes: Int64) {
    if let session { introduce(session) }
    if let recording = knownRecording(inode) {
      recording.removed()
      if !recording.hasHandles { drop(recording) }
    } else {
      usage.add(-bytes)
      if let session { post(.event(.removed(session))) }
    }
  }

  /// An unlinked recording that nobody has open any more: its bytes are free.
  func drop(_ recording: Recording) {
    recording.uncount()
    table.withLock { table in
      guard table.recordings[recording.inode] === recording else { return }
      table.recordings[recording.inode] = nil
      table.bySession[recording.session] = nil
      table.watched[recording.inode] = nil
    }
  }

  func loadTracker(_ session: SessionID, size: Int64, evicted: ChunkSet) throws(SpoolError) -> ChunkTracker {
    guard size <= ChunkLayout.sizeMax else { throw .io(.fileTooLarge, what: "a recording of \(size) bytes") }
    let count = ChunkLayout.chunkCount(size: size)
    do {
      var chunks = try journal.chunks(of: session, count: count)
      // Not unsealed bytes but bytes that are elsewhere, also when a new journal has no row of them.
      for index in evicted.indexes where index < count { chunks.handedOff.insert(index) }
      // A power cut can have shortened a file behind the journal's back.
      if chunks.hasExcess { chunks.baseVersion = try journal.drop(session, from: count) }
      var changed = chunks.short
      if count > 0, let bytes = chunks.lastBytes, chunks.handedOff.contains(count - 1),
        bytes != ChunkLayout.byteCount(of: count - 1, size: size)
      {
        changed.append(count - 1)
      }
      if !changed.isEmpty { chunks.reopened.merge(try journal.reopen(session, changed)) { $1 } }
      for index in changed { chunks.handedOff.remove(index) }
      return ChunkTracker(
        size: size, baseVersion: chunks.baseVersion, handedOff: chunks.handedOff, reopened: chunks.reopened,
        policy: sealPolicy, now: clock.now)
    } catch {
      throw SpoolError(error)
    }
  }
}

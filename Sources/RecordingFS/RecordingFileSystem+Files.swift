public import Fuse
internal import Glibc
internal import Spool
internal import Synchronization
public import SystemPackage
internal import UploadCore

// Open files: bytes and handles.
extension RecordingFileSystem {
  public func create(_ name: FileName, in parent: NodeID, mode: UInt32, flags: Int32, _ context: RequestContext)
    throws(Errno) -> (Entry, OpenedFile)
  {
    try status.refuseChange(of: name, in: parent)
    if name == .none { return try makeNameless(in: parent, mode: mode, flags: flags, context) }
    let (backing, isNew) = try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in
        let made = try makeRecording(name, in: parent, mode: mode, isExclusive: flags & O_EXCL != 0, context)
        // Made by a reader, as flock(1) does: no writer will close it, and it is a finished recording all the same.
        if made.isNew, !Self.writes(flags) {
          try spool.open(made.0.inode, forWriting: true).closed(forWriting: true)
        }
        return made
      }
    }
    // What was made just now is empty already.
    let file = try open(
      node(backing.inode), flags: isNew ? flags & ~O_TRUNC : flags, context, mode: isNew ? backing.mode : nil)
    return (entry(backing), file)
  }

  /// Makes the backing file and gives it its session; an existing one is taken unless `isExclusive`.
  private func makeRecording(
    _ name: FileName, in parent: NodeID, mode: UInt32, isExclusive: Bool, _ context: RequestContext
  ) throws(SpoolError) -> (BackingStatus, isNew: Bool) {
    let root = spool.tree.root
    let path = try spool.tree.path(of: name.bytes, in: inode(parent))
    let descriptor: FileDescriptor
    do {
      descriptor = try Backing.open(path, in: root, flags: O_RDWR | O_CREAT | O_EXCL, mode: mode & 0o7777)
    } catch .io(.fileExists, let what) {
      if isExclusive, !context.mayHaveRun { throw .io(.fileExists, what: what) }
      let there = try Backing.status(path, in: root)
      spool.tree.remember(there.inode, as: name.bytes, in: inode(parent))
      if context.mayHaveRun { try giveToCaller(path, in: parent, mode: mode, context) }
      return (try Backing.status(path, in: root), false)
    }
    try giveToCaller(path, in: parent, mode: mode, context)
    let backing = try Backing.status(descriptor)
    spool.tree.remember(backing.inode, as: name.bytes, in: inode(parent))
    _ = try spool.adopt(descriptor, inode: backing.inode, path: path, isNew: true)
    return (backing, true)
  }

  public func open(_ node: NodeID, flags: Int32, _ context: RequestContext) throws(Errno) -> OpenedFile {
    try open(node, flags: flags, context, mode: nil)
  }

  /// - Parameter mode: the recording's, if it has just been looked at.
  private func open(_ node: NodeID, flags: Int32, _ context: RequestContext, mode: UInt32?) throws(Errno) -> OpenedFile {
    let handle = try handles.open(node: node, flags: flags, context: context)
    if StatusTree.owns(node) {
      do throws(Errno) {
        return try status.open(node, handle, flags: flags)
      } catch {
        _ = handles.close(handle)
        throw error
      }
    }
    // A request handed out again whose first execution got this far.
    if openRecordings.withLock({ $0[handle] }) == nil {
      do throws(SpoolError) {
        try openRecording(node, handle, flags, mode: mode)
      } catch {
        _ = handles.close(handle)
        throw errno(for: error)
      }
    }
    if flags & O_TRUNC != 0 { try resize(handle, to: 0, context) }
    return OpenedFile(handle: handle, keepsCache: true)
  }

  private func openRecording(_ node: NodeID, _ handle: HandleID, _ flags: Int32, mode: UInt32?) throws(SpoolError) {
    let writes = Self.writes(flags)
    let recording = try spool.tree.reading { () throws(SpoolError) in
      try spool.open(inode(node), forWriting: writes)
    }
    openRecordings.withLock { $0[handle] = OpenRecording(recording: recording, writes: writes) }
    if writes, let mode = mode ?? (try? Backing.status(recording.descriptor))?.mode { notePrivileges(mode, recording.inode) }
  }

  public func read(_ node: NodeID, _ handle: HandleID, offset: Int64, count: Int) throws(Errno) -> FileBytes {
    if StatusTree.owns(node) { return try status.read(node, handle, offset: offset, count: count) }
    let recording = try opened(handle).recording
    try translated { () throws(SpoolError) in try recording.pin(offset: offset, count: Int64(count)) }
    return .pinned(recording.descriptor, offset: offset, count: count, done: { recording.unpin() })
  }

  public func write(
    _ node: NodeID, _ handle: HandleID, offset: Int64, _ bytes: borrowing IncomingBytes, _ context: RequestContext
  ) throws(Errno) -> Int {
    if StatusTree.owns(node) { return try status.write(node, try bytes.bytes()) }
    let recording = try opened(handle).recording
    let begun = spool.clock.now
    defer { writes.add(spool.clock.now - begun) }
    let change = try translated { () throws(SpoolError) in
      try recording.beginWrite(offset: offset, count: Int64(bytes.count))
    }
    var written = 0
    defer { recording.endWrite(change, offset: offset, written: Int64(written)) }
    written = try bytes.copy(to: recording.descriptor, at: offset)
    dropPrivileges(recording, context)
    return written
  }

  public func release(_ node: NodeID, _ handle: HandleID, _ context: RequestContext) {
    guard handles.close(handle) != nil else { return }
    if StatusTree.owns(node) { return status.release(handle) }
    guard let open = openRecordings.withLock({ $0.removeValue(forKey: handle) }) else { return }
    open.recording.closed(forWriting: open.writes)
    if open.writes, !open.recording.hasWriters { forgetPrivileges(open.recording.inode) }
  }

  public func synchronize(_ node: NodeID, _ handle: HandleID, dataOnly: Bool) throws(Errno) {
    if StatusTree.owns(node) { return }
    let recording = try opened(handle).recording
    try translated { () throws(SpoolError) in
      try recording.synchronize(dataOnly: dataOnly)
      if synchronizesRemotely { try recording.synchronizeRemotely() }
    }
  }

  public func allocate(
    _ node: NodeID, _ handle: HandleID, mode: Int32, offset: Int64, count: Int64, _ context: RequestContext
  ) throws(Errno) {
    if StatusTree.owns(node) { throw .notSupported }
    let recording = try opened(handle).recording
    try translated { () throws(SpoolError) in try recording.allocate(mode: mode, offset: offset, count: count) }
    dropPrivileges(recording, context)
  }

  public func seek(_ node: NodeID, _ handle: HandleID, offset: Int64, whence: Int32) throws(Errno) -> Int64 {
    if StatusTree.owns(node) { throw .invalidArgument }
    let recording = try opened(handle).recording
    return try translated { () throws(SpoolError) in try recording.seek(offset: offset, whence: whence) }
  }

  /// One call copies at most this, so that a copy of gigabytes does not keep a request thread for seconds.
  private static let copyMax = 64 << 20

  public func copyRange(
    from source: (node: NodeID, handle: HandleID, offset: Int64),
    to target: (node: NodeID, handle: HandleID, offset: Int64), count: Int, flags: UInt32, _ context: RequestContext
  ) throws(Errno) -> Int {
    if StatusTree.owns(source.node) || StatusTree.owns(target.node) { throw .improperLink }
    let (from, to) = (try opened(source.handle).recording, try opened(target.handle).recording)
    let count = min(count, Self.copyMax)
    try translated { () throws(SpoolError) in try from.pin(offset: source.offset, count: Int64(count)) }
    defer { from.unpin() }
    let change = try translated { () throws(SpoolError) in
      try to.beginWrite(offset: target.offset, count: Int64(count))
    }
    var copied = 0
    defer { to.endWrite(change, offset: target.offset, written: Int64(copied)) }
    copied = try translated { () throws(SpoolError) in
      try Backing.copyRange(
        from: from.descriptor, at: source.offset, to: to.descriptor, at: target.offset, count: count)
    }
    dropPrivileges(to, context)
    return copied
  }

  /// Cuts or extends an open recording.
  func resize(_ handle: HandleID, to size: Int64, _ context: RequestContext) throws(Errno) {
    let recording = try opened(handle).recording
    try translated { () throws(SpoolError) in try recording.truncate(to: size) }
    dropPrivileges(recording, context)
  }
}

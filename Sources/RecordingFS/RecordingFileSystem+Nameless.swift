public import Fuse
internal import Glibc
internal import Spool
public import SystemPackage

// Files without a name (O_TMPFILE): they live with those that were deleted while open, and are recordings from the moment
// that `link` gives them a name.
extension RecordingFileSystem {
  func makeNameless(in parent: NodeID, mode: UInt32, flags: Int32, _ context: RequestContext) throws(Errno)
    -> (Entry, OpenedFile)
  {
    // In one step, or a recovery that goes on would take it for a leftover.
    let inode = try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in
        let inode = if let made = firstExecution(context) { made } else { try makeOrphan(mode: mode, context) }
        try giveOrphanToCaller(inode, in: parent, mode: mode, context)
        return try spool.open(inode, forWriting: false).inode
      }
    }
    defer { spool.knownRecording(inode)?.closed(forWriting: false) }
    let file = try open(node(inode), flags: flags, context)
    return (try entry(of: file.handle), file)
  }

  public func entry(of handle: HandleID) throws(Errno) -> Entry {
    guard let node = handles.entry(handle)?.node else { throw .badFileDescriptor }
    return entry(try backingStatus(node))
  }

  /// What an earlier worker had made for this request, if it came so far.
  private func firstExecution(_ context: RequestContext) -> UInt64? {
    guard context.mayHaveRun, context.memory != 0,
      let there = try? Backing.status(SpoolTree.orphanName(context.memory), in: spool.tree.orphans),
      there.inode == context.memory
    else { return nil }
    spool.tree.rememberOrphan(there.inode)
    return there.inode
  }

  private func makeOrphan(mode: UInt32, _ context: RequestContext) throws(SpoolError) -> UInt64 {
    let orphans = spool.tree.orphans
    let file = try Backing.openNameless(in: orphans, mode: mode & 0o7777)
    defer { try? file.close() }
    let inode = try Backing.status(file).inode
    context.remember(inode)
    let name = SpoolTree.orphanName(inode)
    // A leftover of an earlier life of this inode number.
    try? Backing.unlink(name, in: orphans)
    try Backing.link(file, to: name, in: orphans)
    spool.tree.rememberOrphan(inode)
    return inode
  }

  /// As `giveToCaller`; a file that does not lie in its set-group-id folder gets nothing from it by itself.
  private func giveOrphanToCaller(_ inode: UInt64, in parent: NodeID, mode: UInt32, _ context: RequestContext)
    throws(SpoolError)
  {
    let (folder, path) = try spool.tree.locate(self.inode(parent))
    let status = try Backing.status(path, in: folder)
    let group = status.mode & UInt32(S_ISGID) != 0 ? status.groupID : context.groupID
    let (name, orphans) = (SpoolTree.orphanName(inode), spool.tree.orphans)
    guard isRoot else {
      // A group that the user who mounted is not in cannot be given.
      try? Backing.changeOwner(name, in: orphans, user: UInt32.max, group: group)
      return
    }
    try Backing.changeOwner(name, in: orphans, user: context.userID, group: group)
    if mode & 0o6000 != 0 { try Backing.changeMode(name, in: orphans, mode: mode & 0o7777) }
  }

  /// The first name of such a file. - Returns: false for one that has a name.
  func nameOrphan(_ inode: UInt64, as name: FileName, in parent: NodeID) throws(SpoolError) -> Bool {
    guard spool.tree.isOrphan(inode) else { return false }
    return try spool.tree.changing { () throws(SpoolError) in
      let (folder, path) = try spool.tree.locate(inode)
      guard spool.tree.isOrphan(inode) else { return false }
      let newPath = try spool.tree.path(of: name.bytes, in: self.inode(parent))
      try Backing.rename(path, in: folder, to: newPath, in: spool.tree.root, flags: RenameFlags.noReplace)
      spool.tree.remember(inode, as: name.bytes, in: self.inode(parent))
      try spool.named(inode)
      return true
    }
  }
}

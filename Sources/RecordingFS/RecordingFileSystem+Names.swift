public import Fuse
internal import Glibc
internal import Spool
public import SystemPackage
internal import UploadProtocol

// Names: lookup, making, linking, renaming, removing.
extension RecordingFileSystem {
  public func lookup(_ name: FileName, in parent: NodeID) throws(Errno) -> Entry {
    if let entry = try status.lookup(name, in: parent) { return entry }
    return try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in try found(name, in: inode(parent)) }
    }
  }

  public func forget(_ node: NodeID, count: UInt64) {
    // Lookup counts are not kept: after a worker's death they would be wrong. A place forgotten too early is found again.
    guard !StatusTree.owns(node), node != .root, spool.knownRecording(inode(node)) == nil else { return }
    spool.tree.forget(inode(node))
  }

  public func readLink(_ node: NodeID) throws(Errno) -> [UInt8] {
    if StatusTree.owns(node) { throw .invalidArgument }
    return try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in
        let (folder, path) = try spool.tree.locate(inode(node))
        return try Backing.readLink(path, in: folder)
      }
    }
  }

  public func makeNode(
    _ name: FileName, in parent: NodeID, mode: UInt32, device: UInt64, _ context: RequestContext
  ) throws(Errno) -> Entry {
    if mode & UInt32(S_IFMT) == UInt32(S_IFREG) {
      let (entry, file) = try create(name, in: parent, mode: mode, flags: O_WRONLY | O_EXCL, context)
      release(entry.node, file.handle, context)
      return entry
    }
    return try make(name, in: parent, mode: mode, context) { path throws(SpoolError) in
      try Backing.makeNode(path, in: spool.tree.root, mode: mode, device: device)
    }
  }

  public func makeDirectory(_ name: FileName, in parent: NodeID, mode: UInt32, _ context: RequestContext)
    throws(Errno) -> Entry
  {
    try make(name, in: parent, mode: mode & 0o1777, context) { path throws(SpoolError) in
      try Backing.makeFolder(path, in: spool.tree.root, mode: mode)
    }
  }

  public func makeSymlink(_ name: FileName, in parent: NodeID, target: [UInt8], _ context: RequestContext)
    throws(Errno) -> Entry
  {
    try make(name, in: parent, mode: 0, context) { path throws(SpoolError) in
      try Backing.makeSymlink(path, in: spool.tree.root, target: target)
    }
  }

  public func link(_ node: NodeID, as name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno)
    -> Entry
  {
    try status.refuseChange(of: name, in: parent)
    if StatusTree.owns(node) { throw .notPermitted }
    return try translated { () throws(SpoolError) in
      let isNamed = try nameOrphan(inode(node), as: name, in: parent)
      return try spool.tree.reading { () throws(SpoolError) in
        if isNamed { return try found(name, in: inode(parent)) }
        let (folder, path) = try spool.tree.locate(inode(node))
        let newPath = try spool.tree.path(of: name.bytes, in: inode(parent))
        do throws(SpoolError) {
          try Backing.link(path, in: folder, to: newPath, in: spool.tree.root)
        } catch .io(.fileExists, let what) {
          let there = try Backing.status(newPath, in: spool.tree.root)
          guard context.mayHaveRun, there.inode == inode(node) else { throw .io(.fileExists, what: what) }
        }
        return try found(name, in: inode(parent))
      }
    }
  }

  public func unlink(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) {
    try status.refuseChange(of: name, in: parent)
    try translated { () throws(SpoolError) in
      try spool.tree.changing { () throws(SpoolError) in
        let path = try spool.tree.path(of: name.bytes, in: inode(parent))
        do throws(SpoolError) {
          let target = try Backing.status(path, in: spool.tree.root)
          let loss = loss(of: target)
          if loss?.isOpen == true {
            try Backing.rename(
              path, in: spool.tree.root, to: SpoolTree.orphanName(target.inode), in: spool.tree.orphans)
          } else {
            try departing(target, at: path) { () throws(SpoolError) in try Backing.unlink(path, in: spool.tree.root) }
          }
          settle(loss, target, as: name, in: parent)
        } catch .io(.noSuchFileOrDirectory, let what) {
          if !context.mayHaveRun { throw .io(.noSuchFileOrDirectory, what: what) }
        }
      }
    }
  }

  public func removeDirectory(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) {
    try status.refuseChange(of: name, in: parent)
    try translated { () throws(SpoolError) in
      try spool.tree.changing { () throws(SpoolError) in
        let path = try spool.tree.path(of: name.bytes, in: inode(parent))
        do throws(SpoolError) {
          let target = try Backing.status(path, in: spool.tree.root)
          try departing(target, at: path) { () throws(SpoolError) in
            try Backing.unlink(path, in: spool.tree.root, isFolder: true)
          }
          spool.tree.forget(target.inode, as: name.bytes, in: inode(parent))
        } catch .io(.noSuchFileOrDirectory, let what) {
          if !context.mayHaveRun { throw .io(.noSuchFileOrDirectory, what: what) }
        }
      }
    }
  }

  public func rename(
    _ name: FileName, in parent: NodeID, to newName: FileName, in newParent: NodeID, flags: UInt32,
    _ context: RequestContext
  ) throws(Errno) {
    try status.refuseChange(of: name, in: parent)
    try status.refuseChange(of: newName, in: newParent)
    try translated { () throws(SpoolError) in
      try spool.tree.changing { () throws(SpoolError) in
        let old = try spool.tree.path(of: name.bytes, in: inode(parent))
        let new = try spool.tree.path(of: newName.bytes, in: inode(newParent))
        let target = try? Backing.status(new, in: spool.tree.root)
        // A first execution that went through moved the inode it had remembered.
        if context.mayHaveRun, context.memory != 0, target?.inode == context.memory {
          return finishRename(of: target, to: newName, in: newParent)
        }
        let source = try Backing.status(old, in: spool.tree.root)
        context.remember(source.inode)
        if flags & RenameFlags.exchange != 0 {
          try Backing.rename(old, in: spool.tree.root, to: new, in: spool.tree.root, flags: flags)
          finishRename(of: target, to: name, in: parent)
        } else {
          try replace(old, source, new, target, flags, as: newName, in: newParent)
          spool.tree.forget(source.inode, as: name.bytes, in: inode(parent))
        }
        finishRename(of: source, to: newName, in: newParent)
      }
    }
  }
}

// Details
extension RecordingFileSystem {
  /// Within `tree.reading` or `tree.changing`.
  func found(_ name: FileName, in parent: UInt64) throws(SpoolError) -> Entry {
    let path = try spool.tree.path(of: name.bytes, in: parent)
    let backing = try Backing.status(path, in: spool.tree.root)
    if backing.links == 1 || backing.isFolder || spool.knownRecording(backing.inode) == nil {
      spool.tree.remember(backing.inode, as: name.bytes, in: parent)
    }
    return entry(backing)
  }

  private func make(
    _ name: FileName, in parent: NodeID, mode: UInt32, _ context: RequestContext,
    _ body: ([UInt8]) throws(SpoolError) -> Void
  ) throws(Errno) -> Entry {
    try status.refuseChange(of: name, in: parent)
    return try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in
        let path = try spool.tree.path(of: name.bytes, in: inode(parent))
        do throws(SpoolError) {
          try body(path)
        } catch .io(.fileExists, let what) {
          if !context.mayHaveRun { throw .io(.fileExists, what: what) }
        }
        try giveToCaller(path, in: parent, mode: mode, context)
        return try found(name, in: inode(parent))
      }
    }
  }

  /// What is made belongs to who made it; in a set-group-id folder its group is the folder's.
  func giveToCaller(_ path: [UInt8], in parent: NodeID, mode: UInt32, _ context: RequestContext) throws(SpoolError) {
    guard isRoot, context.userID != 0 || context.groupID != 0 else { return }
    let (folder, parentPath) = try spool.tree.locate(inode(parent))
    let inherits = try Backing.status(parentPath, in: folder).mode & UInt32(S_ISGID) != 0
    try Backing.changeOwner(
      path, in: spool.tree.root, user: context.userID, group: inherits ? UInt32.max : context.groupID)
    // Changing the owner clears these bits.
    if mode & 0o6000 != 0 { try Backing.changeMode(path, in: spool.tree.root, mode: mode & 0o7777) }
  }

  /// Runs `body`, which removes `target`. Whatever is no open recording may be in use in the kernel without our knowing:
  /// an open FIFO, a working folder, a descriptor of O_PATH.
  private func departing(_ target: BackingStatus?, at path: [UInt8], _ body: () throws(SpoolError) -> Void)
    throws(SpoolError)
  {
    guard let target, target.isFolder || target.links == 1 else { return try body() }
    try spool.tree.departing(target.inode, at: path, body)
  }

  /// A recording that loses its last name.
  private struct Loss {
    let session: SessionID?
    let isOpen: Bool
  }

  private func loss(of target: BackingStatus) -> Loss? {
    guard target.isRegular, target.links == 1 else { return nil }
    return Loss(
      session: spool.session(of: target.inode), isOpen: spool.knownRecording(target.inode)?.hasHandles == true)
  }

  private func settle(_ loss: Loss?, _ target: BackingStatus, as name: FileName, in parent: NodeID) {
    if loss?.isOpen == true {
      spool.tree.rememberOrphan(target.inode)
    } else {
      spool.tree.forget(target.inode, as: name.bytes, in: inode(parent))
    }
    if let loss {
      spool.removed(target.inode, session: loss.session, bytes: target.blocks * 512)
    } else if target.isRegular {
      // It has another name: from now on the recording goes by that.
      spool.renamed(target.inode, isFolder: false)
    }
  }

  private func replace(
    _ old: [UInt8], _ source: BackingStatus, _ new: [UInt8], _ target: BackingStatus?, _ flags: UInt32,
    as newName: FileName, in newParent: NodeID
  ) throws(SpoolError) {
    let root = spool.tree.root
    guard let target, target.inode != source.inode, flags & RenameFlags.noReplace == 0, let loss = loss(of: target)
    else {
      try departing(target?.inode == source.inode ? nil : target, at: new) { () throws(SpoolError) in
        try Backing.rename(old, in: root, to: new, in: root, flags: flags)
      }
      // A replaced hard link or folder: its node must not be looked for under this name any more.
      if let target, target.inode != source.inode { settle(nil, target, as: newName, in: newParent) }
      return
    }
    // A second name first, so that the replacement itself stays one atomic step.
    if loss.isOpen {
      let orphan = SpoolTree.orphanName(target.inode)
      try? Backing.unlink(orphan, in: spool.tree.orphans)
      try Backing.link(new, in: root, to: orphan, in: spool.tree.orphans)
    }
    try departing(loss.isOpen ? nil : target, at: new) { () throws(SpoolError) in
      try Backing.rename(old, in: root, to: new, in: root, flags: flags)
    }
    settle(loss, target, as: newName, in: newParent)
  }

  private func finishRename(of moved: BackingStatus?, to name: FileName, in parent: NodeID) {
    guard let moved else { return }
    spool.tree.remember(moved.inode, as: name.bytes, in: inode(parent))
    if moved.isFolder || moved.isRegular { spool.renamed(moved.inode, isFolder: moved.isFolder) }
  }
}

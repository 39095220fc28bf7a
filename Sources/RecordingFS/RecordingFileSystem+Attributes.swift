public import Fuse
internal import Glibc
internal import Spool
public import SystemPackage

// Attributes of nodes and of the file system.
extension RecordingFileSystem {
  public func attributes(of node: NodeID) throws(Errno) -> FileAttributes {
    if let attributes = try status.attributes(of: node) { return attributes }
    return attributes(try backingStatus(node))
  }

  public func setAttributes(_ changes: AttributeChanges, of node: NodeID, _ context: RequestContext) throws(Errno)
    -> FileAttributes
  {
    // Truncating and touching `.status/control` is what a shell's `>` does.
    if let attributes = try status.attributes(of: node) { return attributes }
    if let size = changes.size { try setSize(size, of: node, changes.handle, context) }
    return try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in
        let (folder, path) = try spool.tree.locate(inode(node))
        if changes.userID != nil || changes.groupID != nil {
          try Backing.changeOwner(
            path, in: folder, user: changes.userID ?? UInt32.max, group: changes.groupID ?? UInt32.max)
        }
        if let mode = changes.mode {
          try Backing.changeMode(path, in: folder, mode: mode & 0o7777)
          if spool.knownRecording(inode(node))?.hasWriters == true {
            notePrivileges(mode & 0o7777 | UInt32(S_IFREG), inode(node))
          }
        }
        if changes.accessTime != nil || changes.modificationTime != nil {
          try setTimes(changes, path, in: folder, inode(node))
        }
        return attributes(try Backing.status(path, in: folder))
      }
    }
  }

  private func setTimes(_ changes: AttributeChanges, _ path: [UInt8], in folder: FileDescriptor, _ inode: UInt64)
    throws(SpoolError)
  {
    let set = { () throws(SpoolError) in
      try Backing.changeTimes(
        path, in: folder, access: changes.accessTime.map(Self.time), modification: changes.modificationTime.map(Self.time))
    }
    guard let recording = spool.knownRecording(inode) else { return try set() }
    try recording.settingTimes(set)
  }

  /// truncate(2) needs no handle: then reelfs is the writer for a moment.
  private func setSize(_ size: Int64, of node: NodeID, _ handle: HandleID?, _ context: RequestContext) throws(Errno) {
    if let handle { return try resize(handle, to: size, context) }
    try translated { () throws(SpoolError) in
      let recording = try spool.tree.reading { () throws(SpoolError) in
        try spool.open(inode(node), forWriting: true)
      }
      defer { recording.closed(forWriting: true) }
      try recording.truncate(to: size)
      if let mode = try? Backing.status(recording.descriptor).mode { notePrivileges(mode, recording.inode) }
      dropPrivileges(recording, context)
    }
  }

  private static func time(_ time: AttributeChanges.Time) -> BackingTime {
    switch time {
    case .now: .now
    case .at(let time): .at(seconds: time.seconds, nanoseconds: time.nanoseconds)
    }
  }

  public func statistics(_ node: NodeID) throws(Errno) -> FileSystemStatistics {
    let backing = try translated { () throws(SpoolError) in try spool.writableSpace() }
    var statistics = FileSystemStatistics()
    statistics.blockSize = backing.blockSize
    statistics.blocks = backing.blocks
    statistics.blocksFree = backing.blocksFree
    statistics.blocksAvailable = backing.blocksAvailable
    statistics.files = backing.files
    statistics.filesFree = backing.filesFree
    statistics.nameLengthMax = backing.nameLengthMax
    return statistics
  }
}

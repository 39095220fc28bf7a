public import SystemPackage

/// Answers for operations a file system leaves out: ENOSYS, which the kernel remembers where it can do without.
extension FileSystem {
  public func lookup(_ name: FileName, in parent: NodeID) throws(Errno) -> Entry { throw .noFunction }
  public func forget(_ node: NodeID, count: UInt64) {}
  public func readLink(_ node: NodeID) throws(Errno) -> [UInt8] { throw .noFunction }
  public func makeNode(
    _ name: FileName, in parent: NodeID, mode: UInt32, device: UInt64, _ context: RequestContext
  ) throws(Errno) -> Entry { throw .noFunction }
  public func makeDirectory(
    _ name: FileName, in parent: NodeID, mode: UInt32, _ context: RequestContext
  ) throws(Errno) -> Entry { throw .noFunction }
  public func makeSymlink(
    _ name: FileName, in parent: NodeID, target: [UInt8], _ context: RequestContext
  ) throws(Errno) -> Entry { throw .noFunction }
  public func link(
    _ node: NodeID, as name: FileName, in parent: NodeID, _ context: RequestContext
  ) throws(Errno) -> Entry { throw .noFunction }
  public func unlink(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) {
    throw .noFunction
  }
  public func removeDirectory(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) {
    throw .noFunction
  }
  public func rename(
    _ name: FileName, in parent: NodeID, to newName: FileName, in newParent: NodeID, flags: UInt32,
    _ context: RequestContext
  ) throws(Errno) { throw .noFunction }

  public func attributes(of node: NodeID) throws(Errno) -> FileAttributes { throw .noFunction }
  public func setAttributes(
    _ changes: AttributeChanges, of node: NodeID, _ context: RequestContext
  ) throws(Errno) -> FileAttributes { throw .noFunction }
  public func statistics(_ node: NodeID) throws(Errno) -> FileSystemStatistics { throw .noFunction }

  public func create(
    _ name: FileName, in parent: NodeID, mode: UInt32, flags: Int32, _ context: RequestContext
  ) throws(Errno) -> (Entry, OpenedFile) { throw .noFunction }
  public func entry(of handle: HandleID) throws(Errno) -> Entry { throw .noFunction }
  public func open(_ node: NodeID, flags: Int32, _ context: RequestContext) throws(Errno) -> OpenedFile {
    throw .noFunction
  }
  public func read(_ node: NodeID, _ handle: HandleID, offset: Int64, count: Int) throws(Errno) -> FileBytes {
    throw .noFunction
  }
  public func write(
    _ node: NodeID, _ handle: HandleID, offset: Int64, _ bytes: borrowing IncomingBytes, _ context: RequestContext
  ) throws(Errno) -> Int { throw .noFunction }
  public func flush(_ node: NodeID, _ handle: HandleID) throws(Errno) { throw .noFunction }
  public func release(_ node: NodeID, _ handle: HandleID, _ context: RequestContext) {}
  public func synchronize(_ node: NodeID, _ handle: HandleID, dataOnly: Bool) throws(Errno) { throw .noFunction }
  public func allocate(
    _ node: NodeID, _ handle: HandleID, mode: Int32, offset: Int64, count: Int64, _ context: RequestContext
  ) throws(Errno) { throw .noFunction }
  public func seek(_ node: NodeID, _ handle: HandleID, offset: Int64, whence: Int32) throws(Errno) -> Int64 {
    throw .noFunction
  }
  public func copyRange(
    from source: (node: NodeID, handle: HandleID, offset: Int64),
    to target: (node: NodeID, handle: HandleID, offset: Int64), count: Int, flags: UInt32, _ context: RequestContext
  ) throws(Errno) -> Int { throw .noFunction }

  public func openDirectory(_ node: NodeID, _ context: RequestContext) throws(Errno) -> OpenedDirectory {
    throw .noFunction
  }
  public func readDirectory(
    _ node: NodeID, _ handle: HandleID, after cookie: Int64, room: Int, wantsAttributes: Bool,
    add: (borrowing DirectoryEntry) -> Bool
  ) throws(Errno) { throw .noFunction }
  public func releaseDirectory(_ node: NodeID, _ handle: HandleID, _ context: RequestContext) {}
  public func synchronizeDirectory(_ node: NodeID, _ handle: HandleID, dataOnly: Bool) throws(Errno) {
    throw .noFunction
  }

  public func extendedAttribute(_ name: [UInt8], of node: NodeID) throws(Errno) -> [UInt8] { throw .noFunction }
  public func extendedAttributeNames(of node: NodeID, _ context: RequestContext) throws(Errno) -> [[UInt8]] {
    throw .noFunction
  }
  public func setExtendedAttribute(
    _ name: [UInt8], _ value: [UInt8], flags: Int32, of node: NodeID, _ context: RequestContext
  ) throws(Errno) { throw .noFunction }
  public func removeExtendedAttribute(
    _ name: [UInt8], of node: NodeID, _ context: RequestContext
  ) throws(Errno) { throw .noFunction }
}

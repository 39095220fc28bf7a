public import SystemPackage

/// What a FUSE file system does, one synchronous method per kernel operation. Called on several worker threads at once;
/// no method may wait for the network. Default implementations throw `.noFunction` (ENOSYS).
///
/// Idempotence: after a worker's death the kernel hands requests out again. `context.mayHaveRun` says so; operations that
/// are not idempotent by nature must then answer as the first execution would have.
public protocol FileSystem: AnyObject, Sendable {
  // Names
  func lookup(_ name: FileName, in parent: NodeID) throws(Errno) -> Entry
  func forget(_ node: NodeID, count: UInt64)
  func readLink(_ node: NodeID) throws(Errno) -> [UInt8]
  func makeNode(_ name: FileName, in parent: NodeID, mode: UInt32, device: UInt64, _ context: RequestContext)
    throws(Errno) -> Entry
  func makeDirectory(_ name: FileName, in parent: NodeID, mode: UInt32, _ context: RequestContext) throws(Errno) -> Entry
  func makeSymlink(_ name: FileName, in parent: NodeID, target: [UInt8], _ context: RequestContext) throws(Errno) -> Entry
  func link(_ node: NodeID, as name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) -> Entry
  func unlink(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno)
  func removeDirectory(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno)
  /// `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE or 0.
  func rename(
    _ name: FileName, in parent: NodeID, to newName: FileName, in newParent: NodeID, flags: UInt32,
    _ context: RequestContext) throws(Errno)

  // Attributes
  func attributes(of node: NodeID) throws(Errno) -> FileAttributes
  func setAttributes(_ changes: AttributeChanges, of node: NodeID, _ context: RequestContext) throws(Errno)
    -> FileAttributes
  func statistics(_ node: NodeID) throws(Errno) -> FileSystemStatistics

  // Files
  /// `name` may be `.none`: the file gets its first name by `link`, or is gone with its last handle.
  func create(_ name: FileName, in parent: NodeID, mode: UInt32, flags: Int32, _ context: RequestContext)
    throws(Errno) -> (Entry, OpenedFile)
  /// The node behind an open handle, as `create` answered: for a file that cannot be looked up.
  func entry(of handle: HandleID) throws(Errno) -> Entry
  func open(_ node: NodeID, flags: Int32, _ context: RequestContext) throws(Errno) -> OpenedFile
  func read(_ node: NodeID, _ handle: HandleID, offset: Int64, count: Int) throws(Errno) -> FileBytes
  /// - Returns: bytes written.
  func write(_ node: NodeID, _ handle: HandleID, offset: Int64, _ bytes: borrowing IncomingBytes, _ context: RequestContext)
    throws(Errno) -> Int
  func flush(_ node: NodeID, _ handle: HandleID) throws(Errno)
  func release(_ node: NodeID, _ handle: HandleID, _ context: RequestContext)
  func synchronize(_ node: NodeID, _ handle: HandleID, dataOnly: Bool) throws(Errno)
  /// `mode` as in fallocate(2).
  func allocate(_ node: NodeID, _ handle: HandleID, mode: Int32, offset: Int64, count: Int64, _ context: RequestContext)
    throws(Errno)
  /// `whence`: SEEK_DATA or SEEK_HOLE.
  func seek(_ node: NodeID, _ handle: HandleID, offset: Int64, whence: Int32) throws(Errno) -> Int64
  func copyRange(
    from source: (node: NodeID, handle: HandleID, offset: Int64), to target: (node: NodeID, handle: HandleID, offset: Int64),
    count: Int, flags: UInt32, _ context: RequestContext) throws(Errno) -> Int

  // Directories
  func openDirectory(_ node: NodeID, _ context: RequestContext) throws(Errno) -> OpenedDirectory
  /// Calls `add` for entries after `cookie` (0: from the start) until it returns false (the buffer is full) or there
  /// are no more. `room`: bytes of the buffer, of which an entry takes its name's and 24 (152 with an `Entry`), in eights.
  /// `wantsAttributes` (readdirplus): entries come with an `Entry`, which counts as a lookup once added.
  func readDirectory(
    _ node: NodeID, _ handle: HandleID, after cookie: Int64, room: Int, wantsAttributes: Bool,
    add: (borrowing DirectoryEntry) -> Bool) throws(Errno)
  func releaseDirectory(_ node: NodeID, _ handle: HandleID, _ context: RequestContext)
  func synchronizeDirectory(_ node: NodeID, _ handle: HandleID, dataOnly: Bool) throws(Errno)

  // Extended attributes
  func extendedAttribute(_ name: [UInt8], of node: NodeID) throws(Errno) -> [UInt8]
  func extendedAttributeNames(of node: NodeID, _ context: RequestContext) throws(Errno) -> [[UInt8]]
  /// `flags`: XATTR_CREATE, XATTR_REPLACE or 0.
  func setExtendedAttribute(
    _ name: [UInt8], _ value: [UInt8], flags: Int32, of node: NodeID, _ context: RequestContext) throws(Errno)
  func removeExtendedAttribute(_ name: [UInt8], of node: NodeID, _ context: RequestContext) throws(Errno)
}

/// A node found or made. Each answer with an entry raises the kernel's lookup count of the node by one.
public struct Entry: Sendable {
  public var node: NodeID
  /// Tells apart two lives of one node id (a reused inode number).
  public var generation: UInt64
  public var attributes: FileAttributes
  /// Seconds for which the kernel may use the attributes, and the name.
  public var attributeTimeout: Double
  public var entryTimeout: Double

  public init(
    node: NodeID, generation: UInt64, attributes: FileAttributes, attributeTimeout: Double, entryTimeout: Double
  ) {
    self.node = node
    self.generation = generation
    self.attributes = attributes
    self.attributeTimeout = attributeTimeout
    self.entryTimeout = entryTimeout
  }
}

public struct FileTime: Sendable, Hashable {
  public var seconds: Int64
  public var nanoseconds: Int64
  public init(seconds: Int64, nanoseconds: Int64) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }
}

/// What stat(2) says of a node.
public struct FileAttributes: Sendable, Hashable {
  public var inode: UInt64 = 0
  public var mode: UInt32 = 0
  public var links: UInt32 = 1
  public var userID: UInt32 = 0
  public var groupID: UInt32 = 0
  public var device: UInt64 = 0
  public var size: Int64 = 0
  /// Of 512 bytes.
  public var blocks: Int64 = 0
  public var blockSize: Int64 = 4096
  public var accessTime = FileTime(seconds: 0, nanoseconds: 0)
  public var modificationTime = FileTime(seconds: 0, nanoseconds: 0)
  public var changeTime = FileTime(seconds: 0, nanoseconds: 0)
  /// Seconds for which the kernel may use these attributes.
  public var timeout: Double = 0

  public init() {}
}

/// What setattr asks for: nil leaves a field alone.
public struct AttributeChanges: Sendable {
  public enum Time: Sendable, Equatable { case now, at(FileTime) }

  public var mode: UInt32?
  public var userID: UInt32?
  public var groupID: UInt32?
  public var size: Int64?
  public var accessTime: Time?
  public var modificationTime: Time?
  /// The handle the change came through (ftruncate), if any.
  public var handle: HandleID?

  public init() {}
}

/// What open or create gives back.
public struct OpenedFile: Sendable {
  public var handle: HandleID
  /// Past the page cache (virtual files, whose content changes).
  public var isDirect: Bool
  /// The kernel may keep pages from an earlier open.
  public var keepsCache: Bool

  public init(handle: HandleID, isDirect: Bool = false, keepsCache: Bool = false) {
    self.handle = handle
    self.isDirect = isDirect
    self.keepsCache = keepsCache
  }
}

public struct OpenedDirectory: Sendable {
  public var handle: HandleID
  /// The kernel may keep the names and list them by itself, until it changes one: nobody else does.
  public var keepsNames: Bool

  public init(handle: HandleID, keepsNames: Bool = false) {
    self.handle = handle
    self.keepsNames = keepsNames
  }
}

/// What a read answers with.
public enum FileBytes: Sendable {
  /// Splice from this descriptor, which stays open at least until the answer is sent (the kernel holds the handle).
  case descriptor(FileDescriptor, offset: Int64, count: Int)
  /// The same; `done` is called once the bytes have been taken.
  case pinned(FileDescriptor, offset: Int64, count: Int, done: @Sendable () -> Void)
  case bytes([UInt8])
}

public struct DirectoryEntry: ~Copyable {
  public let name: FileName
  public let inode: UInt64
  /// S_IFMT bits.
  public let type: UInt32
  /// Where to go on after this entry; never 0.
  public let cookie: Int64
  public let entry: Entry?

  public init(name: FileName, inode: UInt64, type: UInt32, cookie: Int64, entry: Entry?) {
    self.name = name
    self.inode = inode
    self.type = type
    self.cookie = cookie
    self.entry = entry
  }
}

public struct FileSystemStatistics: Sendable {
  public var blockSize: UInt64 = 4096
  public var blocks: UInt64 = 0
  public var blocksFree: UInt64 = 0
  public var blocksAvailable: UInt64 = 0
  public var files: UInt64 = 0
  public var filesFree: UInt64 = 0
  public var nameLengthMax: UInt64 = 255
  public init() {}
}

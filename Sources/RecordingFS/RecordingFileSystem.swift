public import Fuse
internal import Glibc
public import Spool
internal import Synchronization
internal import SystemPackage
internal import UploadCore

/// The mount: a tree of plain files whose every change is told to the uploader, and `.status` beside it.
///
/// Called on all request threads. Locks, in order: the tree's names, the table of open handles, a recording's own, the
/// spool's. No method waits for the network; only a rewrite of bytes that the journal vouches for waits for the journal.
public final class RecordingFileSystem: FileSystem {
  let spool: Spool
  let handles: HandleTable
  let status: StatusTree
  /// Recordings by open handle. After a restart of the worker it is filled again from `handles`.
  let openRecordings = Mutex<[HandleID: OpenRecording]>([:])
  /// Files with a set-user-id or set-group-id bit that are open for writing: a write by anybody but root clears it.
  let privileged = Mutex<Set<UInt64>>([])
  let hasPrivileged = Atomic(false)
  /// Whether this process may give files to their creators.
  let isRoot = geteuid() == 0

  struct OpenRecording: Sendable {
    let recording: Recording
    let writes: Bool
  }

  /// Seconds for which the kernel may use what it knows: nobody but the kernel changes this tree.
  static let nodeTimeout = 300.0

  /// `--fsync remote`: fsync(2) returns when the bytes are stored at the destination.
  let synchronizesRemotely: Bool
  /// Time that write() takes.
  let writes: DurationHistogram

  public init(spool: Spool, handles: HandleTable, status: StatusTree, synchronizesRemotely: Bool = false) {
    self.synchronizesRemotely = synchronizesRemotely
    self.spool = spool
    self.handles = handles
    self.status = status
    writes = status.reader.writes
  }

  /// Opens again what recorders had open when the previous worker died. Call it before the first request is served.
  /// - Returns: how many recordings are open for writing.
  public func restoreHandles() -> Int {
    var open: [(HandleID, NodeID, Int32)] = []
    handles.forEach { open.append(($0, $1, $2)) }
    for (handle, node, flags) in open where !StatusTree.owns(node) {
      let recording = try? spool.tree.reading { () throws(SpoolError) in
        try spool.open(inode(node), forWriting: Self.writes(flags))
      }
      guard let recording else { continue }
      if spool.tree.isOrphan(recording.inode) { recording.removed() }
      openRecordings.withLock { $0[handle] = OpenRecording(recording: recording, writes: Self.writes(flags)) }
    }
    return openRecordings.withLock { $0.values.count { $0.writes } }
  }

  static func writes(_ flags: Int32) -> Bool { flags & O_ACCMODE != O_RDONLY }

  // MARK: Nodes

  func inode(_ node: NodeID) -> UInt64 { node == .root ? spool.tree.rootInode : node.rawValue }

  func node(_ inode: UInt64) -> NodeID {
    inode == spool.tree.rootInode ? .root : NodeID(rawValue: inode)
  }

  /// What the kernel is told of a backing node.
  func entry(_ backing: BackingStatus) -> Entry {
    Entry(
      node: node(backing.inode), generation: backing.generation, attributes: attributes(backing),
      attributeTimeout: Self.nodeTimeout, entryTimeout: Self.nodeTimeout)
  }

  func attributes(_ backing: BackingStatus) -> FileAttributes {
    var attributes = FileAttributes()
    attributes.inode = node(backing.inode).rawValue
    attributes.mode = backing.mode
    // The only name of an orphan is ours.
    attributes.links = spool.tree.isOrphan(backing.inode) ? 0 : backing.links
    attributes.userID = backing.userID
    attributes.groupID = backing.groupID
    attributes.device = backing.device
    attributes.size = backing.size
    attributes.blocks = backing.blocks
    attributes.blockSize = backing.blockSize
    attributes.accessTime = FileTime(seconds: backing.accessed.seconds, nanoseconds: backing.accessed.nanoseconds)
    attributes.modificationTime = FileTime(
      seconds: backing.modified.seconds, nanoseconds: backing.modified.nanoseconds)
    attributes.changeTime = FileTime(seconds: backing.changed.seconds, nanoseconds: backing.changed.nanoseconds)
    attributes.timeout = Self.nodeTimeout
    return attributes
  }

  /// The status of a node of the tree itself; open files by their descriptor, others by their path.
  func backingStatus(_ node: NodeID) throws(Errno) -> BackingStatus {
    try translated { () throws(SpoolError) in
      if let known = spool.knownRecording(inode(node)) { return try Backing.status(known.descriptor) }
      let gone = try spool.tree.withDeparted(inode(node)) { held throws(SpoolError) in try Backing.status(held) }
      if let gone { return gone }
      return try spool.tree.reading { () throws(SpoolError) in
        let (folder, path) = try spool.tree.locate(inode(node))
        return try Backing.status(path, in: folder)
      }
    }
  }

  func opened(_ handle: HandleID) throws(Errno) -> OpenRecording {
    guard let open = openRecordings.withLock({ $0[handle] }) else { throw .badFileDescriptor }
    return open
  }
}

public import Fuse
internal import Glibc
internal import Spool
public import SystemPackage

// Folders. A listing holds nothing between calls: its cookies are the backing file system's, so it goes on after a
// restart of the worker.
extension RecordingFileSystem {
  public func openDirectory(_ node: NodeID, _ context: RequestContext) throws(Errno) -> OpenedDirectory {
    OpenedDirectory(handle: HandleID(rawValue: 0), keepsNames: !StatusTree.owns(node))
  }

  public func releaseDirectory(_ node: NodeID, _ handle: HandleID, _ context: RequestContext) {}

  public func synchronizeDirectory(_ node: NodeID, _ handle: HandleID, dataOnly: Bool) throws(Errno) {
    if StatusTree.owns(node) { return }
    try withFolder(node) { folder throws(SpoolError) in try folder.synchronize() }
  }

  /// `.status` comes first in the root, with a cookie that no backing file system hands out.
  private static let statusCookie = Int64.max - 0x5EED

  public func readDirectory(
    _ node: NodeID, _ handle: HandleID, after cookie: Int64, room: Int, wantsAttributes: Bool,
    add: (borrowing DirectoryEntry) -> Bool
  ) throws(Errno) {
    if StatusTree.owns(node) {
      return try status.readDirectory(node, after: cookie, wantsAttributes: wantsAttributes, add: add)
    }
    if node == .root, cookie == 0, let entry = status.rootEntry, status.isListed {
      let added = add(
        DirectoryEntry(
          name: StatusTree.rootName, inode: entry.node.rawValue, type: UInt32(S_IFDIR), cookie: Self.statusCookie,
          entry: wantsAttributes ? entry : nil))
      if !added { return }
    }
    try withFolder(node) { folder throws(SpoolError) in
      if cookie != 0, cookie != Self.statusCookie { try folder.seek(to: cookie) }
      // About what there is room for: what is read beyond is read again for the next request. An entry takes four fifths of that
      // as the folder gives it, a fifth where it comes with attributes.
      var room = room
      while true {
        let items = try folder.next(bytesMax: wantsAttributes ? room / 5 : room * 4 / 5)
        if items.isEmpty { return }
        for item in items {
          if !add(directoryEntry(item, in: node, wantsAttributes)) { return }
          room -= Self.entryBytes(item, wantsAttributes)
        }
      }
    }
  }

  /// What an entry takes of the room: struct fuse_dirent, or fuse_direntplus, in eights (linux/fuse.h).
  private static func entryBytes(_ item: BackingDirectory.Item, _ wantsAttributes: Bool) -> Int {
    ((wantsAttributes ? 152 : 24) + item.name.count + 7) & ~7
  }

  private func directoryEntry(_ item: BackingDirectory.Item, in parent: NodeID, _ wantsAttributes: Bool)
    -> DirectoryEntry
  {
    var found: Entry?
    // An entry deleted in between is listed without attributes; the kernel then asks for it and is told.
    if wantsAttributes, !item.isDot, let path = try? spool.tree.path(of: item.name, in: inode(parent)),
      let backing = try? Backing.status(path, in: spool.tree.root)
    {
      spool.tree.remember(backing.inode, as: item.name, in: inode(parent))
      found = entry(backing)
    }
    return DirectoryEntry(
      name: FileName(bytes: item.name), inode: node(item.inode).rawValue, type: item.type, cookie: item.cookie,
      entry: found)
  }

  private func withFolder(
    _ node: NodeID, _ body: (inout BackingDirectory) throws(SpoolError) -> Void
  ) throws(Errno) {
    if spool.tree.isDeparted(inode(node)) { return }
    do throws(SpoolError) {
      try spool.tree.reading { () throws(SpoolError) in
        let (folder, path) = try spool.tree.locate(inode(node))
        var directory = try BackingDirectory(path, in: folder, isOurs: false)
        try body(&directory)
      }
    } catch .missing {
      // Removed while somebody has it open: an empty folder, as on a disk.
      return
    } catch {
      throw errno(for: error)
    }
  }
}

import CLinux
import Fuse
import Glibc
import Synchronization
import SystemPackage

/// A file system for tests: a folder shown as it is. It keeps nothing that cannot be found again after a SIGKILL: node
/// numbers are inode numbers, names are read from the folder, handles live in the shared state; files that were removed
/// while open wait in a graveyard under their inode number.
///
/// Only for trees small enough to be read at each start. It also counts what it is asked (`getxattr` of
/// `user.probe.count.getxattr`).
final class PassthroughFileSystem: FileSystem {
  let folder: String
  let tree: String
  let graveyard: String
  let handles: HandleTable
  let state = Mutex(State())
  /// Held while the folder and `state.names` change together: an inode number that became free may name a new file in the
  /// next instant.
  let naming = Mutex(())
  private let getxattrs = Atomic(0)

  struct State {
    /// Names of each node, as the parent's inode and the name in it. The root is under 1.
    var names: [UInt64: [Place]] = [:]
    var files: [HandleID: CInt] = [:]
    var rootInode: UInt64 = 0
  }

  struct Place: Hashable {
    var parent: UInt64
    var name: FileName
  }

  /// `folder` gets two folders, `tree` and `graveyard`.
  init(folder: String, handles: HandleTable) {
    self.folder = folder
    self.tree = folder + "/tree"
    self.graveyard = folder + "/graveyard"
    self.handles = handles
    mkdir(folder, 0o755)
    mkdir(tree, 0o755)
    mkdir(graveyard, 0o755)
    var status = stat()
    lstat(tree, &status)
    var names: [UInt64: [Place]] = [:]
    Self.scan(tree, node: 1, into: &names)
    state.withLock { [names] state in
      state.names = names
      state.rootInode = UInt64(status.st_ino)
    }
  }

  private static func scan(_ path: String, node: UInt64, into names: inout [UInt64: [Place]]) {
    for (name, inode, type) in entries(path) where name != FileName(".") && name != FileName("..") {
      names[inode, default: []].append(Place(parent: node, name: name))
      if type == 0o040000 { scan(path + "/" + name.text, node: inode, into: &names) }
    }
  }

  private static func entries(_ path: String) -> [(FileName, UInt64, UInt32)] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var found: [(FileName, UInt64, UInt32)] = []
    while let entry = Glibc.readdir(folder) {
      // As long as it is: a copy of the whole field would read beyond the last entry of libc's buffer.
      let name = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
      let bytes = Array(UnsafeRawBufferPointer(start: name, count: strlen(name.assumingMemoryBound(to: CChar.self))))
      found.append((FileName(bytes: bytes), UInt64(entry.pointee.d_ino), UInt32(entry.pointee.d_type) << 12))
    }
    return found
  }

  // MARK: Paths

  func path(_ node: NodeID) throws(Errno) -> String {
    guard let path = state.withLock({ Self.path(node.rawValue, $0, tree, graveyard) }) else { throw .noSuchFileOrDirectory }
    return path
  }

  private static func path(_ node: UInt64, _ state: borrowing State, _ tree: String, _ graveyard: String) -> String? {
    if node == 1 { return tree }
    if let place = state.names[node]?.first {
      return path(place.parent, state, tree, graveyard).map { $0 + "/" + place.name.text }
    }
    let grave = graveyard + "/\(node)"
    var status = stat()
    return lstat(grave, &status) == 0 ? grave : nil
  }

  func path(_ name: FileName, in parent: NodeID) throws(Errno) -> String {
    try path(parent) + "/" + name.text
  }

  func inode(_ path: String) -> UInt64? {
    var status = stat()
    return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  func add(_ node: UInt64, _ name: FileName, in parent: NodeID) {
    let place = Place(parent: parent.rawValue, name: name)
    state.withLock { state in
      for (other, places) in state.names where other != node && places.contains(place) {
        state.names[other]?.removeAll { $0 == place }
      }
      if !(state.names[node]?.contains(place) ?? false) { state.names[node, default: []].append(place) }
    }
  }

  private func remove(_ name: FileName, in parent: NodeID) {
    let place = Place(parent: parent.rawValue, name: name)
    state.withLock { state in
      for (node, places) in state.names where places.contains(place) {
        state.names[node]?.removeAll { $0 == place }
        if state.names[node]?.isEmpty ?? false { state.names[node] = nil }
      }
    }
  }

  private func attributes(_ path: String) throws(Errno) -> FileAttributes {
    var status = stat()
    try check(lstat(path, &status))
    var attributes = FileAttributes()
    attributes.inode = UInt64(status.st_ino)
    attributes.mode = status.st_mode
    attributes.links = UInt32(status.st_nlink)
    attributes.userID = status.st_uid
    attributes.groupID = status.st_gid
    attributes.device = UInt64(status.st_rdev)
    attributes.size = Int64(status.st_size)
    attributes.blocks = Int64(status.st_blocks)
    attributes.modificationTime = FileTime(
      seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
    attributes.accessTime = FileTime(
      seconds: Int64(status.st_atim.tv_sec), nanoseconds: Int64(status.st_atim.tv_nsec))
    attributes.changeTime = FileTime(
      seconds: Int64(status.st_ctim.tv_sec), nanoseconds: Int64(status.st_ctim.tv_nsec))
    attributes.timeout = 1
    return attributes
  }

  func entry(_ path: String) throws(Errno) -> Entry {
    let attributes = try attributes(path)
    // Inode numbers are used again at once: without a generation the kernel would take a new folder for the one that is
    // just being removed elsewhere (ESTALE). The time of birth tells two lives of a number apart.
    var born = statx()
    try check(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0x800 /* STATX_BTIME */, &born))
    let generation = UInt64(bitPattern: born.stx_btime.tv_sec &* 1_000_000_000) &+ UInt64(born.stx_btime.tv_nsec)
    return Entry(
      node: NodeID(rawValue: attributes.inode), generation: generation, attributes: attributes, attributeTimeout: 1,
      entryTimeout: 1)
  }

  /// An entry just made, which counts as ours also when an earlier worker made it.
  func made(
    _ name: FileName, in parent: NodeID, _ context: RequestContext, _ make: (String) -> CInt
  ) throws(Errno) -> Entry {
    try naming.withLock { _ throws(Errno) in try madeLocked(name, in: parent, context, make) }
  }

  func madeLocked(
    _ name: FileName, in parent: NodeID, _ context: RequestContext, _ make: (String) -> CInt
  ) throws(Errno) -> Entry {
    let path = try path(name, in: parent)
    let result = make(path)
    let error = errno
    if result != 0, !(error == EEXIST && context.mayHaveRun) { throw Errno(rawValue: error) }
    if result == 0 { lchown(path, context.userID, context.groupID) }
    let entry = try entry(path)
    add(entry.node.rawValue, name, in: parent)
    return entry
  }

  func check(_ result: CInt) throws(Errno) {
    if result != 0 { throw Errno(rawValue: errno) }
  }

  // MARK: Names

  func lookup(_ name: FileName, in parent: NodeID) throws(Errno) -> Entry {
    try naming.withLock { _ throws(Errno) in
      let entry = try entry(try path(name, in: parent))
      add(entry.node.rawValue, name, in: parent)
      return entry
    }
  }

  func readLink(_ node: NodeID) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let path = try path(node)
    let count = bytes.withUnsafeMutableBytes { readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), 4096) }
    if count < 0 { throw Errno(rawValue: errno) }
    return Array(bytes[..<count])
  }

  func makeNode(
    _ name: FileName, in parent: NodeID, mode: UInt32, device: UInt64, _ context: RequestContext
  ) throws(Errno) -> Entry {
    try made(name, in: parent, context) { mknod($0, mode, dev_t(device)) }
  }

  func makeDirectory(
    _ name: FileName, in parent: NodeID, mode: UInt32, _ context: RequestContext
  ) throws(Errno) -> Entry {
    Faults.crash(name)
    return try made(name, in: parent, context) { mkdir($0, mode) }
  }

  func makeSymlink(
    _ name: FileName, in parent: NodeID, target: [UInt8], _ context: RequestContext
  ) throws(Errno) -> Entry {
    let text = String(decoding: target, as: UTF8.self)
    return try made(name, in: parent, context) { symlink(text, $0) }
  }

  func link(_ node: NodeID, as name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) -> Entry {
    let old = try path(node)
    return try made(name, in: parent, context) { Glibc.link(old, $0) }
  }

  func unlink(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) {
    try naming.withLock { _ throws(Errno) in
      let path = try path(name, in: parent)
      bury(path)
      if Glibc.unlink(path) != 0, !(errno == ENOENT && context.mayHaveRun) { throw Errno(rawValue: errno) }
      remove(name, in: parent)
    }
  }

  func removeDirectory(_ name: FileName, in parent: NodeID, _ context: RequestContext) throws(Errno) {
    try naming.withLock { _ throws(Errno) in
      if rmdir(try path(name, in: parent)) != 0, !(errno == ENOENT && context.mayHaveRun) {
        throw Errno(rawValue: errno)
      }
      remove(name, in: parent)
    }
  }

  func rename(
    _ name: FileName, in parent: NodeID, to newName: FileName, in newParent: NodeID, flags: UInt32,
    _ context: RequestContext
  ) throws(Errno) {
    try naming.withLock { _ throws(Errno) in
      try renameLocked(name, in: parent, to: newName, in: newParent, flags: flags, context)
    }
  }

  private func renameLocked(
    _ name: FileName, in parent: NodeID, to newName: FileName, in newParent: NodeID, flags: UInt32,
    _ context: RequestContext
  ) throws(Errno) {
    let (from, to) = (try path(name, in: parent), try path(newName, in: newParent))
    let moved = inode(to)
    if context.mayHaveRun, context.memory != 0, moved == context.memory {
      // Done by the worker that died.
    } else {
      guard let inode = inode(from) else { throw .noSuchFileOrDirectory }
      context.remember(inode)
      if flags == 0 { bury(to) }
      try check(renameat2(AT_FDCWD, from, AT_FDCWD, to, flags))
    }
    remove(name, in: parent)
    if let inode = inode(to) { add(inode, newName, in: newParent) }
    // Exchanged.
    if let inode = inode(from) { add(inode, name, in: parent) }
  }

  /// Keeps the last name's file for those who have it open.
  private func bury(_ path: String) {
    guard let inode = inode(path) else { return }
    var isOpen = false
    handles.forEach { _, node, _ in if node.rawValue == inode { isOpen = true } }
    if isOpen { _ = Glibc.link(path, graveyard + "/\(inode)") }
  }

  // MARK: Attributes

  func attributes(of node: NodeID) throws(Errno) -> FileAttributes { try attributes(try path(node)) }

  func setAttributes(
    _ changes: AttributeChanges, of node: NodeID, _ context: RequestContext
  ) throws(Errno) -> FileAttributes {
    let path = try path(node)
    if let mode = changes.mode { try check(chmod(path, mode)) }
    if changes.userID != nil || changes.groupID != nil {
      try check(lchown(path, changes.userID ?? .max, changes.groupID ?? .max))
    }
    if let size = changes.size { try check(truncate(path, off_t(size))) }
    return try attributes(path)
  }

  func statistics(_ node: NodeID) throws(Errno) -> FileSystemStatistics {
    var statistics = FileSystemStatistics()
    statistics.blocks = 1 << 20
    statistics.blocksFree = 1 << 19
    statistics.blocksAvailable = 1 << 19
    return statistics
  }

  // MARK: Directories

  func openDirectory(_ node: NodeID, _ context: RequestContext) throws(Errno) -> OpenedDirectory {
    OpenedDirectory(handle: try handles.open(node: node, flags: 0, context: context))
  }

  func readDirectory(
    _ node: NodeID, _ handle: HandleID, after cookie: Int64, room: Int, wantsAttributes: Bool,
    add: (borrowing DirectoryEntry) -> Bool
  ) throws(Errno) {
    let folder = try path(node)
    for (index, (name, inode, type)) in Self.entries(folder).enumerated().dropFirst(Int(cookie)) {
      let isDot = name == FileName(".") || name == FileName("..")
      var entry: Entry?
      if wantsAttributes, !isDot {
        do throws(Errno) { entry = try lookup(name, in: node) } catch { continue }
      }
      if !add(DirectoryEntry(name: name, inode: inode, type: type, cookie: Int64(index + 1), entry: entry)) { return }
    }
  }

  func releaseDirectory(_ node: NodeID, _ handle: HandleID, _ context: RequestContext) { _ = handles.close(handle) }

  // MARK: Extended attributes

  func extendedAttribute(_ name: [UInt8], of node: NodeID) throws(Errno) -> [UInt8] {
    let name = String(decoding: name, as: UTF8.self)
    if name == "user.probe.count.getxattr" { return Array("\(getxattrs.load(ordering: .relaxed))".utf8) }
    getxattrs.add(1, ordering: .relaxed)
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = lgetxattr(try path(node), name, &bytes, bytes.count)
    if count < 0 { throw Errno(rawValue: errno) }
    return Array(bytes[..<count])
  }

  func extendedAttributeNames(of node: NodeID, _ context: RequestContext) throws(Errno) -> [[UInt8]] {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let path = try path(node)
    let count = bytes.withUnsafeMutableBytes {
      llistxattr(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    if count < 0 { throw Errno(rawValue: errno) }
    return bytes[..<count].split(separator: 0).map { Array($0) }
  }

  func setExtendedAttribute(
    _ name: [UInt8], _ value: [UInt8], flags: Int32, of node: NodeID, _ context: RequestContext
  ) throws(Errno) {
    let result = lsetxattr(try path(node), String(decoding: name, as: UTF8.self), value, value.count, flags)
    if result != 0, !(errno == EEXIST && context.mayHaveRun) { throw Errno(rawValue: errno) }
  }

  func removeExtendedAttribute(_ name: [UInt8], of node: NodeID, _ context: RequestContext) throws(Errno) {
    let result = lremovexattr(try path(node), String(decoding: name, as: UTF8.self))
    if result != 0, !(errno == ENODATA && context.mayHaveRun) { throw Errno(rawValue: errno) }
  }
}

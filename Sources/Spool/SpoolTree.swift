internal import Glibc
internal import Synchronization
public import SystemPackage

/// The backing tree: plain files at their own paths, found by inode number.
///
/// A node is its backing inode (the tree is one file system), so node ids mean the same after a restart of the worker. Where
/// a node lies is remembered from lookups; after a restart it is found by walking the tree once.
public final class SpoolTree: Sendable {
  public let root: FileDescriptor
  /// Absolute path of `root`, for the calls that know no folder descriptor.
  public let rootPath: [UInt8]
  /// Where unlinked files live as long as they are open, named by inode number.
  public let orphans: FileDescriptor
  public let orphansPath: [UInt8]
  public let rootInode: UInt64

  /// Held shared while a path is computed and used, exclusively while names change.
  private let namesLock = ReadWriteLock()
  private let places = Mutex<[UInt64: Place]>([:])
  /// Other names that hard links were seen under: candidates for when the one in `places` goes.
  private let otherNames = Mutex<[UInt64: [Name]]>([:])
  /// Of one node; with more, the tree is walked every so many removals.
  private static let otherNamesMax = 64

  /// Removed nodes that the kernel may still hold and that are no open recordings: held for nothing but `stat`, which also
  /// keeps their inode numbers from new files. Gone with the worker.
  private let departed = Mutex<[UInt64: FileDescriptor]>([:])
  /// The kernel forgets them within moments unless somebody has them open.
  private static let departedMax = 256

  private struct Name: Sendable, Equatable {
    let bytes: [UInt8]
    let parent: UInt64
  }

  private enum Place: Sendable {
    case named(Name)
    case orphaned
  }

  public init(recordings: FilePath, orphans: FilePath) throws(SpoolError) {
    rootPath = Array(recordings.string.utf8)
    orphansPath = Array(orphans.string.utf8)
    let here = FileDescriptor(rawValue: AT_FDCWD)
    root = try Backing.open(rootPath, in: here, flags: O_RDONLY | O_DIRECTORY)
    self.orphans = try Backing.open(orphansPath, in: here, flags: O_RDONLY | O_DIRECTORY)
    rootInode = try Backing.status(root).inode
  }

  // MARK: Locking

  /// Runs `body` while no name changes.
  public func reading<T>(_ body: () throws(SpoolError) -> T) throws(SpoolError) -> T {
    namesLock.lockShared()
    defer { namesLock.unlock() }
    return try body()
  }

  /// Runs `body`, which changes names, alone.
  public func changing<T>(_ body: () throws(SpoolError) -> T) throws(SpoolError) -> T {
    namesLock.lockExclusive()
    defer { namesLock.unlock() }
    return try body()
  }

  // MARK: Places (call within `reading` or `changing`)

  /// Where `inode` lies: an open folder and a path relative to it.
  public func locate(_ inode: UInt64) throws(SpoolError) -> (folder: FileDescriptor, path: [UInt8]) {
    do {
      if !isOrphan(inode) { return (root, try path(of: inode)) }
    } catch .missing {
      // The walk that looked for it may have found it among the orphans.
      guard isOrphan(inode) else { throw .missing }
    }
    return (orphans, Self.orphanName(inode))
  }

  /// The path below the root, empty for the root itself.
  public func pathBelowRoot(_ inode: UInt64) throws(SpoolError) -> [UInt8] {
    inode == rootInode ? [] : try path(of: inode)
  }

  /// The path below the root of a node that has one and was looked up, as of now; takes the lock by itself.
  public func currentPath(_ inode: UInt64) -> [UInt8]? {
    namesLock.lockShared()
    defer { namesLock.unlock() }
    return rememberedPath(inode)
  }

  /// The path of `name` in the folder `parent`, relative to `root`.
  public func path(of name: [UInt8], in parent: UInt64) throws(SpoolError) -> [UInt8] {
    parent == rootInode ? name : try path(of: parent) + [UInt8(ascii: "/")] + name
  }

  /// The same, for the calls on attributes.
  public func place(_ inode: UInt64) throws(SpoolError) -> BackingPlace {
    let (folder, path) = try locate(inode)
    return BackingPlace(folder: folder, folderPath: folder == root ? rootPath : orphansPath, path: path)
  }

  /// What lies at `path` below the root.
  func place(at path: [UInt8]) -> BackingPlace { BackingPlace(folder: root, folderPath: rootPath, path: path) }

  public func remember(_ inode: UInt64, as name: [UInt8], in parent: UInt64) {
    let name = Name(bytes: name, parent: parent)
    let before = places.withLock { $0.updateValue(.named(name), forKey: inode) }
    guard case .named(let other)? = before, other != name else { return }
    otherNames.withLock { names in
      var others = names[inode, default: []]
      others.removeAll { $0 == name || $0 == other }
      others.append(other)
      names[inode] = others.suffix(Self.otherNamesMax)
    }
  }

  public func rememberOrphan(_ inode: UInt64) {
    places.withLock { $0[inode] = .orphaned }
    otherNames.withLock { $0[inode] = nil }
  }

  /// The name is gone; another name of the same node, if there is one, takes its place. Within `changing`.
  public func forget(_ inode: UInt64, as name: [UInt8], in parent: UInt64) {
    let isGone = places.withLock { places in
      guard case .named(Name(bytes: name, parent: parent))? = places[inode] else { return false }
      places[inode] = nil
      return true
    }
    // What a candidate was, it need not be any more.
    while isGone, let other = otherNames.withLock({ $0[inode]?.popLast() }) {
      guard let folder = other.parent == rootInode ? [UInt8(ascii: ".")] : rememberedPath(other.parent),
        let there = try? Backing.status(folder + [UInt8(ascii: "/")] + other.bytes, in: root), there.inode == inode
      else { continue }
      return remember(inode, as: other.bytes, in: other.parent)
    }
    otherNames.withLock { if $0[inode]?.isEmpty == true { $0[inode] = nil } }
  }

  /// Runs `body`, which removes what lies at `path` and is no open recording. Within `changing`.
  public func departing(_ inode: UInt64, at path: [UInt8], _ body: () throws(SpoolError) -> Void) throws(SpoolError) {
    let mayHold = departed.withLock { $0.count < Self.departedMax && $0[inode] == nil }
    let held = mayHold ? try? Backing.hold(path, in: root) : nil
    do throws(SpoolError) { try body() } catch {
      try? held?.close()
      throw error
    }
    if let held { departed.withLock { $0[inode] = held } }
  }

  public func isDeparted(_ inode: UInt64) -> Bool { departed.withLock { $0[inode] != nil } }

  /// A removed node that was no open recording. Lent: it stays open for the length of `body`.
  public func withDeparted<T>(_ inode: UInt64, _ body: (FileDescriptor) throws(SpoolError) -> T) throws(SpoolError) -> T? {
    try departed.withLock { departed throws(SpoolError) in
      guard let held = departed[inode] else { return nil }
      return try body(held)
    }
  }

  /// The kernel has dropped the node.
  public func forget(_ inode: UInt64) {
    if let held = departed.withLock({ $0.removeValue(forKey: inode) }) { try? held.close() }
    places.withLock { $0[inode] = nil }
    otherNames.withLock { $0[inode] = nil }
  }

  public func isOrphan(_ inode: UInt64) -> Bool {
    places.withLock { if case .orphaned? = $0[inode] { true } else { false } }
  }

  public static func orphanName(_ inode: UInt64) -> [UInt8] { Array(String(inode).utf8) }

  // MARK: Details

  private func path(of inode: UInt64) throws(SpoolError) -> [UInt8] {
    if inode == rootInode { return [UInt8(ascii: ".")] }
    if let path = rememberedPath(inode) { return path }
    try walk()
    guard let path = rememberedPath(inode) else { throw .missing }
    return path
  }

  private func rememberedPath(_ inode: UInt64) -> [UInt8]? {
    places.withLock { places in
      var names: [[UInt8]] = []
      var current = inode
      while current != rootInode {
        guard case .named(let name)? = places[current], names.count < 4_096 else { return nil }
        names.append(name.bytes)
        current = name.parent
      }
      return Array(names.reversed().joined(separator: [UInt8(ascii: "/")]))
    }
  }

  /// Remembers the place of every node of the tree: once after a restart, and when the known one of several hard links
  /// has gone.
  private func walk() throws(SpoolError) {
    try eachEntry { item, _, parent in remember(item.inode, as: item.name, in: parent) }
    var folder = try BackingDirectory([UInt8(ascii: ".")], in: orphans, isOurs: true)
    var items = try folder.next()
    while !items.isEmpty {
      for item in items where item.name.first != UInt8(ascii: ".") { rememberOrphan(item.inode) }
      items = try folder.next()
    }
  }

  /// Calls `body` for every node below a folder (default: the root), folders before what is in them, with its path below
  /// the root and its folder's inode.
  public func eachEntry(
    below folder: (path: [UInt8], inode: UInt64)? = nil,
    _ body: (BackingDirectory.Item, _ path: [UInt8], _ parent: UInt64) -> Void
  ) throws(SpoolError) {
    var folders = [folder ?? ([], rootInode)]
    while let (path, inode) = folders.popLast() {
      var folder = try BackingDirectory(path.isEmpty ? [UInt8(ascii: ".")] : path, in: root, isOurs: true)
      var items = try folder.next()
      while !items.isEmpty {
        for item in items where item.name != [46] && item.name != [46, 46] {
          let itemPath = path.isEmpty ? item.name : path + [UInt8(ascii: "/")] + item.name
          body(item, itemPath, inode)
          if item.type == UInt32(S_IFDIR) { folders.append((itemPath, item.inode)) }
        }
        items = try folder.next()
      }
    }
  }
}

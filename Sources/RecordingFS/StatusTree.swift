public import Fuse
internal import Foundation
internal import Glibc
public import Spool
internal import SyncStatus
internal import Synchronization
public import SystemPackage
internal import UploadProtocol

/// The virtual folder `.status` at the mount's root: a mirror of the tree whose files tell the status of the recordings,
/// and a few files about the whole.
///
/// Node ids: bit 63 set mirrors the backing inode in the lower bits; bit 62 set is one of `Special`; both set is the chunk
/// map of the backing inode.
public final class StatusTree: Sendable {
  public static let rootName = FileName(".status")

  enum Special: UInt64, CaseIterable {
    case root = 1, summary, sessions, metrics, events, control, mount

    var name: String {
      switch self {
      case .root: ".status"
      case .summary: "summary"
      case .sessions: "sessions.json"
      case .metrics: "metrics"
      case .events: "events.jsonl"
      case .control: "control"
      case .mount: "mount.json"
      }
    }
    var node: NodeID { NodeID(rawValue: 1 << 62 | rawValue) }
    var mode: UInt32 {
      switch self {
      case .root: UInt32(S_IFDIR) | 0o555
      case .control: UInt32(S_IFREG) | 0o600
      case .mount: UInt32(S_IFREG) | 0o400
      default: UInt32(S_IFREG) | 0o444
      }
    }
  }

  let reader: StatusReader
  let isListed: Bool
  let hidesAttributes: Bool
  let spool: Spool
  private let events: FilePath
  private let control: ControlFile
  private let mountRecord: [UInt8]
  /// What open virtual files hold: a snapshot each, or the event log itself.
  private let open = Mutex<[HandleID: OpenStatus]>([:])
  private let (userID, groupID) = (getuid(), getgid())

  private enum OpenStatus: Sendable {
    case snapshot([UInt8])
    case file(FileDescriptor)
  }

  /// - Parameter mountRecord: the bytes of `.status/mount.json`: how this mount was set up.
  public init(
    spool: Spool, reader: StatusReader, events: FilePath, control: ControlFile, mountRecord: [UInt8], isListed: Bool,
    hidesAttributes: Bool
  ) {
    self.mountRecord = mountRecord
    self.spool = spool
    self.reader = reader
    self.events = events
    self.control = control
    self.isListed = isListed
    self.hidesAttributes = hidesAttributes
  }

  public static func owns(_ node: NodeID) -> Bool { node.rawValue >> 62 != 0 }

  // MARK: Names

  /// nil: not a name of ours.
  func lookup(_ name: FileName, in parent: NodeID) throws(Errno) -> Entry? {
    if parent == .root { return name == Self.rootName ? rootEntry : nil }
    guard Self.owns(parent) else { return nil }
    if parent == Special.root.node {
      if let special = Special.allCases.dropFirst().first(where: { $0.name == name.text }) { return entry(special.node) }
      if let session = Self.session(chunkMap: name.text), let inode = inode(of: session) {
        return entry(Self.chunkMap(inode))
      }
      if let session = SessionID(text: name.text), let inode = inode(of: session) { return entry(Self.mirror(inode)) }
    }
    guard let folder = mirrored(parent),
      let backing = try? spool.tree.reading({ () throws(SpoolError) in
        let found = try Backing.status(try spool.tree.path(of: name.bytes, in: folder), in: spool.tree.root)
        spool.tree.remember(found.inode, as: name.bytes, in: folder)
        return found
      }), backing.isFolder || backing.isRegular
    else { throw .noSuchFileOrDirectory }
    return entry(Self.mirror(backing.inode))
  }

  /// Nothing can be made, renamed or removed in `.status`, nor in its place.
  func refuseChange(of name: FileName, in parent: NodeID) throws(Errno) {
    if Self.owns(parent) || (parent == .root && name == Self.rootName) { throw .permissionDenied }
  }

  var rootEntry: Entry? { entry(Special.root.node) }

  private func entry(_ node: NodeID) -> Entry? {
    guard let attributes = (try? attributes(of: node)) ?? nil else { return nil }
    return Entry(node: node, generation: 0, attributes: attributes, attributeTimeout: 0, entryTimeout: 0)
  }

  /// `sess_….chunks`, which no listing shows: a name beside the mirror must not hide a recording's.
  private static func session(chunkMap name: String) -> SessionID? {
    name.hasSuffix(".chunks") ? SessionID(text: String(name.dropLast(7))) : nil
  }

  private static func chunkMap(_ inode: UInt64) -> NodeID { NodeID(rawValue: 3 << 62 | inode) }
  private static func mirror(_ inode: UInt64) -> NodeID { NodeID(rawValue: 1 << 63 | inode) }

  /// The backing inode behind a mirror node, or the root's for `.status` itself.
  private func mirrored(_ node: NodeID) -> UInt64? {
    if node == Special.root.node { return spool.tree.rootInode }
    return node.rawValue >> 63 != 0 ? node.rawValue & ~(3 << 62) : nil
  }

  private func inode(of session: SessionID) -> UInt64? {
    spool.knownRecording(session)?.inode ?? ((try? spool.journal.session(session)) ?? nil)?.inode
  }

  private func special(_ node: NodeID) -> Special? {
    node.rawValue >> 62 == 1 ? Special(rawValue: node.rawValue & ~(1 << 62)) : nil
  }

  // MARK: Attributes

  /// nil: not a node of ours.
  func attributes(of node: NodeID) throws(Errno) -> FileAttributes? {
    guard Self.owns(node) else { return nil }
    var attributes = FileAttributes()
    attributes.inode = node.rawValue
    (attributes.userID, attributes.groupID) = (userID, groupID)
    let now = Date().timeIntervalSince1970
    let time = FileTime(seconds: Int64(now), nanoseconds: Int64((now - now.rounded(.down)) * 1e9))
    (attributes.accessTime, attributes.modificationTime, attributes.changeTime) = (time, time, time)
    if let special = special(node) {
      attributes.mode = special.mode
      attributes.links = special == .root ? 2 : 1
    } else {
      let isFolder = try backing(of: node).isFolder
      attributes.mode = isFolder ? UInt32(S_IFDIR) | 0o555 : UInt32(S_IFREG) | 0o444
      attributes.links = isFolder ? 2 : 1
    }
    if attributes.mode & UInt32(S_IFMT) == UInt32(S_IFREG) { attributes.size = Int64(try size(of: node)) }
    return attributes
  }

  private func backing(of node: NodeID) throws(Errno) -> BackingStatus {
    guard let inode = mirrored(node) else { throw .noSuchFileOrDirectory }
    return try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in
        let (folder, path) = try spool.tree.locate(inode)
        return try Backing.status(path, in: folder)
      }
    }
  }

  private func size(of node: NodeID) throws(Errno) -> Int {
    if special(node) == .events {
      return Int(Backing.size(of: events.string))
    }
    return try content(of: node).count
  }

  private func content(of node: NodeID) throws(Errno) -> [UInt8] {
    switch special(node) {
    case .summary: return Array(SummaryPage.text(reader.overall()).utf8)
    case .sessions: return reader.sessionsPage()
    case .metrics: return Array(reader.metricsPage().utf8)
    case .mount: return mountRecord
    case .control, .events, .root: return []
    case nil where node.rawValue >> 62 == 3:
      guard let inode = mirrored(node), let session = spool.session(of: inode), let map = reader.chunkMap(of: session)
      else { throw .noSuchFileOrDirectory }
      return map
    case nil:
      guard let inode = mirrored(node), let status = reader.status(of: inode) else { throw .noSuchFileOrDirectory }
      return Array(StatusPage.text(of: status).utf8)
    }
  }

  /// `user.sync.priority` and `user.sync.hold`; any other one is accepted and changes nothing, so that `cp -a` works.
  func set(_ name: String, _ value: String, of inode: UInt64) throws(Errno) {
    guard StatusAttributes.settableNames.contains(name) else { return }
    guard let session = spool.session(of: inode) else { throw .invalidArgument }
    try control.set(name, value.trimmingCharacters(in: .whitespacesAndNewlines), of: session)
  }

  // MARK: Open files

  func open(_ node: NodeID, _ handle: HandleID, flags: Int32) throws(Errno) -> OpenedFile {
    if RecordingFileSystem.writes(flags), special(node) != .control { throw .permissionDenied }
    let opened = try snapshot(of: node)
    open.withLock { $0[handle] = opened }
    return OpenedFile(handle: handle, isDirect: true)
  }

  private func snapshot(of node: NodeID) throws(Errno) -> OpenStatus {
    guard special(node) == .events else { return .snapshot(try content(of: node)) }
    do {
      return .file(try FileDescriptor.open(events, .readOnly, options: .closeOnExec))
    } catch {
      throw error as? Errno ?? .ioError
    }
  }

  func read(_ node: NodeID, _ handle: HandleID, offset: Int64, count: Int) throws(Errno) -> FileBytes {
    var opened = open.withLock { $0[handle] }
    if opened == nil {
      // Opened before the worker was restarted: a snapshot of now must do. The rest of another one would be torn; most often
      // all of it was read, and its end is looked for.
      if offset > 0, special(node) != .events { return .bytes([]) }
      let fresh = try snapshot(of: node)
      open.withLock { $0[handle] = fresh }
      opened = fresh
    }
    switch opened {
    case .file(let descriptor): return .descriptor(descriptor, offset: offset, count: count)
    case .snapshot(let bytes):
      guard offset < bytes.count else { return .bytes([]) }
      return .bytes(Array(bytes[Int(offset)..<min(bytes.count, Int(offset) + count)]))
    case nil: return .bytes([])
    }
  }

  func write(_ node: NodeID, _ bytes: [UInt8]) throws(Errno) -> Int {
    guard special(node) == .control else { throw .permissionDenied }
    try control.carryOut(bytes)
    return bytes.count
  }

  func release(_ handle: HandleID) {
    if case .file(let descriptor)? = open.withLock({ $0.removeValue(forKey: handle) }) { try? descriptor.close() }
  }

  // MARK: Listing

  func readDirectory(
    _ node: NodeID, after cookie: Int64, wantsAttributes: Bool, add: (borrowing DirectoryEntry) -> Bool
  ) throws(Errno) {
    guard let inode = mirrored(node) else { throw .notDirectory }
    let specials = node == Special.root.node ? Array(Special.allCases.dropFirst()) : []
    // Cookies of the special names stand before the backing ones, moved up by their count.
    let shift = Int64(specials.count)
    for (place, special) in specials.enumerated() where cookie <= place {
      let added = add(
        DirectoryEntry(
          name: FileName(special.name), inode: special.node.rawValue, type: special.mode & UInt32(S_IFMT),
          cookie: Int64(place + 1), entry: wantsAttributes ? entry(special.node) : nil))
      if !added { return }
    }
    try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in
        let (folder, path) = try spool.tree.locate(inode)
        var directory = try BackingDirectory(path, in: folder, isOurs: true)
        if cookie > shift { try directory.seek(to: cookie == Int64.max ? Int64.max : cookie - shift) }
        while true {
          let items = try directory.next()
          if items.isEmpty { return }
          for item in items where item.type == UInt32(S_IFDIR) || item.type == UInt32(S_IFREG) {
            // A backing cookie at the very end of the range stands for the end already.
            let next = item.cookie > Int64.max - shift ? Int64.max : item.cookie + shift
            // Without attributes: each would cost a look into the journal, and a name is what a listing is for.
            let added = add(
              DirectoryEntry(
                name: FileName(bytes: item.name), inode: Self.mirror(item.inode).rawValue, type: item.type,
                cookie: next, entry: nil))
            if !added { return }
          }
        }
      }
    }
  }
}

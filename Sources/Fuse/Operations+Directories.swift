internal import CFuse
internal import Glibc
internal import SystemPackage

/// Operations on open directories.
func addDirectories(to table: inout fuse_lowlevel_ops) {
  table.opendir = { raw, node, info in
    let request = Request(raw)
    guard let info = info?.pointee else { return request.answer { () throws(Errno) in throw .invalidArgument } }
    let node = NodeID(rawValue: node)
    request.openDirectory(node, info) { () throws(Errno) in
      try request.fileSystem.openDirectory(node, request.context)
    }
  }
  table.readdir = { raw, node, count, offset, info in
    guard let raw else { return }
    list(raw, NodeID(rawValue: node), HandleID(info), after: Int64(offset), room: count, wantsAttributes: false)
  }
  table.readdirplus = { raw, node, count, offset, info in
    guard let raw else { return }
    list(raw, NodeID(rawValue: node), HandleID(info), after: Int64(offset), room: count, wantsAttributes: true)
  }
  table.releasedir = { raw, node, info in
    let request = Request(raw)
    request.once { () throws(Errno) in
      request.fileSystem.releaseDirectory(NodeID(rawValue: node), HandleID(info), request.context)
    }
  }
  table.fsyncdir = { raw, node, dataOnly, info in
    let request = Request(raw)
    request.answer { () throws(Errno) in
      try request.fileSystem.synchronizeDirectory(NodeID(rawValue: node), HandleID(info), dataOnly: dataOnly != 0)
    }
  }
}

private func list(
  _ raw: fuse_req_t, _ node: NodeID, _ handle: HandleID, after cookie: Int64, room: Int, wantsAttributes: Bool
) {
  let request = Request(raw)
  request.answer({ () throws(Errno) -> DirectoryListing in
    var listing = DirectoryListing(raw, room: room, wantsAttributes: wantsAttributes)
    do throws(Errno) {
      try request.fileSystem.readDirectory(
        node, handle, after: cookie, room: listing.storage.count, wantsAttributes: wantsAttributes
      ) { listing.add($0) }
    } catch {
      // What was added counts as looked up, so it is sent; the error comes again for the next part.
      if listing.isEmpty { throw error }
    }
    return listing
  }) { reply, listing in reply.bytes(listing.storage, count: listing.used) }
}

/// Entries in the form the kernel wants, up to the size it asked for.
struct DirectoryListing {
  /// The kernel asks for one page to 1 MiB; since 6.13 for as much as its caller does.
  private static let roomMax = 1 << 20

  private let request: fuse_req_t
  private let wantsAttributes: Bool
  private(set) var storage: [UInt8]
  private(set) var used = 0

  init(_ request: fuse_req_t, room: Int, wantsAttributes: Bool) {
    self.request = request
    self.wantsAttributes = wantsAttributes
    self.storage = [UInt8](repeating: 0, count: min(room, Self.roomMax))
  }

  var isEmpty: Bool { used == 0 }

  /// - Returns: false, with nothing added, when the room does not suffice.
  mutating func add(_ entry: borrowing DirectoryEntry) -> Bool {
    let count = entry.name.bytes.count
    // On the stack: a folder may have a hundred thousand names.
    return withUnsafeTemporaryAllocation(byteCount: count + 1, alignment: 1) { name in
      name.copyBytes(from: entry.name.bytes)
      name[count] = 0
      return add(entry, name.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
  }

  private mutating func add(_ entry: borrowing DirectoryEntry, _ name: UnsafePointer<CChar>) -> Bool {
    let (request, used, room, offset) = (request, used, storage.count - used, off_t(entry.cookie))
    let needed = storage.withUnsafeMutableBytes { storage in
      let place = storage.baseAddress.map { ($0 + used).assumingMemoryBound(to: CChar.self) }
      if wantsAttributes {
        // Without an entry (`.` and `..`) the node number stays 0: the kernel does not count it as looked up.
        var parameters = entry.entry?.parameters ?? fuse_entry_param()
        if entry.entry == nil { parameters.attr = Self.status(entry) }
        return fuse_add_direntry_plus(request, place, room, name, &parameters, offset)
      }
      var status = Self.status(entry)
      return fuse_add_direntry(request, place, room, name, &status, offset)
    }
    guard needed <= room else { return false }
    self.used += needed
    return true
  }

  private static func status(_ entry: borrowing DirectoryEntry) -> stat {
    var status = stat()
    status.st_ino = ino_t(entry.inode)
    status.st_mode = entry.type
    return status
  }
}

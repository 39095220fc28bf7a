public import Fuse
internal import Glibc
internal import Spool
internal import SyncStatus
public import SystemPackage

// Extended attributes: `user.sync.*` is status, `user.reelfs.*` is hidden, the rest is the user's.
extension RecordingFileSystem {
  private static let statusPrefix = Array(StatusAttributes.prefix.utf8)
  private static let trustedPrefix = Array("trusted.".utf8)
  private static let ownPrefix = Array("user.reelfs.".utf8)
  /// Access lists would have to be honoured by the kernel, which checks modes only here.
  private static let aclPrefix = Array("system.posix_acl_".utf8)

  public func extendedAttribute(_ name: [UInt8], of node: NodeID) throws(Errno) -> [UInt8] {
    if name.starts(with: Self.aclPrefix) { throw .notSupported }
    if StatusTree.owns(node) || name.starts(with: Self.ownPrefix) { throw .noData }
    if name.starts(with: Self.statusPrefix) {
      let short = String(decoding: name.dropFirst(Self.statusPrefix.count), as: UTF8.self)
      guard let status = status.reader.status(of: inode(node)), let value = StatusAttributes.value(short, of: status)
      else { throw .noData }
      return Array(value.utf8)
    }
    // The kernel asks this of each new file before its first write.
    if let recording = spool.knownRecording(inode(node)) {
      return try translated { () throws(SpoolError) in try Backing.attribute(name, of: recording.descriptor) }
    }
    return try onPlace(node) { place throws(SpoolError) in try Backing.attribute(name, of: place) }
  }

  public func extendedAttributeNames(of node: NodeID, _ context: RequestContext) throws(Errno) -> [[UInt8]] {
    if StatusTree.owns(node) { return [] }
    var names = try onPlace(node) { place throws(SpoolError) in try Backing.attributeNames(of: place) }
      .filter { !$0.starts(with: Self.ownPrefix) && !$0.starts(with: Self.statusPrefix) }
    // Only root knows of these (xattr(7)).
    if context.userID != 0 { names.removeAll { $0.starts(with: Self.trustedPrefix) } }
    guard !status.hidesAttributes, let status = status.reader.status(of: inode(node)) else { return names }
    return names + StatusAttributes.listed(of: status).map { Self.statusPrefix + Array($0.utf8) }
  }

  public func setExtendedAttribute(
    _ name: [UInt8], _ value: [UInt8], flags: Int32, of node: NodeID, _ context: RequestContext
  ) throws(Errno) {
    if name.starts(with: Self.aclPrefix) { throw .notSupported }
    if StatusTree.owns(node) || name.starts(with: Self.ownPrefix) { throw .notPermitted }
    if name.starts(with: Self.statusPrefix) {
      let short = String(decoding: name.dropFirst(Self.statusPrefix.count), as: UTF8.self)
      return try status.set(short, String(decoding: value, as: UTF8.self), of: inode(node))
    }
    do throws(Errno) {
      try onPlace(node) { place throws(SpoolError) in try Backing.setAttribute(name, value, flags: flags, of: place) }
    } catch {
      if !(error == .fileExists && context.mayHaveRun) { throw error }
    }
    tellOfMetadata(name, node)
  }

  public func removeExtendedAttribute(_ name: [UInt8], of node: NodeID, _ context: RequestContext) throws(Errno) {
    if StatusTree.owns(node) || name.starts(with: Self.ownPrefix) { throw .notPermitted }
    if name.starts(with: Self.statusPrefix) { return }
    do throws(Errno) {
      try onPlace(node) { place throws(SpoolError) in try Backing.removeAttribute(name, of: place) }
    } catch {
      if !(error == .noData && context.mayHaveRun) { throw error }
    }
    tellOfMetadata(name, node)
  }

  /// The user's own attributes travel along with the recording.
  private func tellOfMetadata(_ name: [UInt8], _ node: NodeID) {
    guard name.starts(with: Array("user.".utf8)) else { return }
    try? spool.tree.reading { () throws(SpoolError) in spool.renamed(inode(node), isFolder: false) }
  }

  private func onPlace<Value>(_ node: NodeID, _ body: (BackingPlace) throws(SpoolError) -> Value) throws(Errno) -> Value {
    try translated { () throws(SpoolError) in
      try spool.tree.reading { () throws(SpoolError) in try body(try spool.tree.place(inode(node))) }
    }
  }
}

internal import CFuse
internal import Glibc
public import SystemPackage

/// Tells the kernel that what it keeps of a node has changed other than through the mount. From any thread but a request
/// thread: the kernel may wait for a lock that a request in hand holds. Errors: `.noSuchFileOrDirectory` when the kernel
/// knows nothing of the node (then there was nothing to forget).
public struct Notifier: Sendable {
  private let session: Session

  init(session: Session) { self.session = session }

  /// Drops the node's attributes and its pages from `offset` on; `count` 0: to the end; `offset` < 0: attributes only.
  public func invalidate(_ node: NodeID, offset: Int64, count: Int64) throws(Errno) {
    try check(session.withRaw { fuse_lowlevel_notify_inval_inode($0, node.rawValue, off_t(offset), off_t(count)) })
  }

  /// Drops what the kernel believes of a name.
  public func invalidate(_ name: FileName, in parent: NodeID) throws(Errno) {
    let text = name.bytes.map { CChar(bitPattern: $0) } + [0]
    try check(
      session.withRaw { fuse_lowlevel_notify_inval_entry($0, parent.rawValue, text, name.bytes.count) })
  }

  private func check(_ result: CInt) throws(Errno) {
    if result < 0 { throw Errno(rawValue: -result) }
  }
}

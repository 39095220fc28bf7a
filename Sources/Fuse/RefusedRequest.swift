internal import CFuse

/// A request that was answered with EIO because workers crashed in it again and again.
public struct RefusedRequest: Sendable, Equatable, CustomStringConvertible {
  /// As the kernel's protocol calls it: `WRITE`.
  public let operation: String
  /// What it was asked of: for an operation on a name, the folder.
  public let node: NodeID
  public let crashes: Int

  init(_ header: RequestHeader) {
    operation = Self.names[header.opcode] ?? "operation \(header.opcode)"
    node = NodeID(rawValue: header.node)
    crashes = RequestLedger.crashesMax
  }

  public var description: String {
    "the worker crashed \(crashes) times in one request, \(operation) of node \(node.rawValue): this request is refused "
      + "(EIO), all else goes on; please report it (a mount started with SWIFT_BACKTRACE=enable=yes logs where it crashes)"
  }

  private static let names: [UInt32: String] = [
    FUSE_LOOKUP.rawValue: "LOOKUP", FUSE_GETATTR.rawValue: "GETATTR", FUSE_SETATTR.rawValue: "SETATTR",
    FUSE_READLINK.rawValue: "READLINK", FUSE_SYMLINK.rawValue: "SYMLINK", FUSE_MKNOD.rawValue: "MKNOD",
    FUSE_MKDIR.rawValue: "MKDIR", FUSE_UNLINK.rawValue: "UNLINK", FUSE_RMDIR.rawValue: "RMDIR",
    FUSE_RENAME.rawValue: "RENAME", FUSE_RENAME2.rawValue: "RENAME", FUSE_LINK.rawValue: "LINK",
    FUSE_OPEN.rawValue: "OPEN", FUSE_READ.rawValue: "READ", FUSE_WRITE.rawValue: "WRITE",
    FUSE_STATFS.rawValue: "STATFS", FUSE_RELEASE.rawValue: "RELEASE", FUSE_FSYNC.rawValue: "FSYNC",
    FUSE_SETXATTR.rawValue: "SETXATTR", FUSE_GETXATTR.rawValue: "GETXATTR", FUSE_LISTXATTR.rawValue: "LISTXATTR",
    FUSE_REMOVEXATTR.rawValue: "REMOVEXATTR", FUSE_FLUSH.rawValue: "FLUSH", FUSE_OPENDIR.rawValue: "OPENDIR",
    FUSE_READDIR.rawValue: "READDIR", FUSE_RELEASEDIR.rawValue: "RELEASEDIR", FUSE_FSYNCDIR.rawValue: "FSYNCDIR",
    FUSE_CREATE.rawValue: "CREATE", FUSE_FALLOCATE.rawValue: "FALLOCATE", FUSE_READDIRPLUS.rawValue: "READDIRPLUS",
    FUSE_LSEEK.rawValue: "LSEEK", FUSE_COPY_FILE_RANGE.rawValue: "COPY_FILE_RANGE",
  ]
}

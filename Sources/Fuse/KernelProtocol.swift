internal import CFuse

/// Facts of the kernel's protocol that the installed headers may be too old to know.
enum KernelProtocol {
  /// Set in `unique` of a request that was handed out before (since Linux 6.9).
  static let uniqueResent: UInt64 = 1 << 63
  /// Notification: hand out again every request that was taken and not answered (since Linux 6.9).
  static let notifyResend: Int32 = 7
  /// INIT flag: the file system drops set-user-id, set-group-id and capabilities itself, so the kernel need not ask for
  /// `security.capability` before each write.
  static let handleKillPrivilegesV2: UInt32 = 1 << 28

  /// INIT flag (bit 39, so bit 7 of `flags2`): the kernel can hand requests out again.
  static let hasResendInFlags2: UInt32 = 1 << 7

  /// O_TMPFILE (since Linux 6.1), which this libfuse does not know. The request is CREATE's but for its number, and its name
  /// is a slash, which no name can be: so it becomes a CREATE of `FileName.none`.
  static let temporaryFile: UInt32 = 51

  /// `request`: at least a header.
  static func translateTemporaryFile(_ request: UnsafeMutableRawPointer) {
    let place = MemoryLayout<fuse_in_header>.offset(of: \fuse_in_header.opcode)!
    guard request.loadUnaligned(fromByteOffset: place, as: UInt32.self) == temporaryFile else { return }
    request.storeBytes(of: FUSE_CREATE.rawValue, toByteOffset: place, as: UInt32.self)
  }

  static let inHeaderBytes = MemoryLayout<fuse_in_header>.size
  static let outHeaderBytes = MemoryLayout<fuse_out_header>.size
  /// The kernel refuses to hand out INIT to a reader with a smaller buffer.
  static let readBufferBytesMin = 8192
  /// An INIT request is 104 bytes today; the protocol may grow.
  static let initBytesMax = 4096
}

/// What the header of a request says.
package struct RequestHeader: Sendable {
  package let opcode: UInt32
  /// Without the bit that says it was handed out before: the same in each worker's life.
  package let unique: UInt64
  package let wasResent: Bool
  package let node: UInt64

  /// `bytes`: the start of a request, at least `KernelProtocol.inHeaderBytes` long.
  init(_ bytes: UnsafeRawPointer) {
    let header = bytes.loadUnaligned(as: fuse_in_header.self)
    opcode = header.opcode
    unique = header.unique & ~KernelProtocol.uniqueResent
    wasResent = header.unique & KernelProtocol.uniqueResent != 0
    node = header.nodeid
  }

  /// `unique` as the kernel wants it in the answer.
  var answerUnique: UInt64 { wasResent ? unique | KernelProtocol.uniqueResent : unique }

  package init(opcode: UInt32, unique: UInt64, wasResent: Bool, node: UInt64 = 0) {
    self.node = node
    self.opcode = opcode
    self.unique = unique
    self.wasResent = wasResent
  }
}

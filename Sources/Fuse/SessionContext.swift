internal import CFuse
internal import Glibc

/// What libfuse's callbacks find behind their userdata.
///
/// `@unchecked Sendable`: the two variables are used only while one thread initialises, before the pool starts.
final class SessionContext: @unchecked Sendable {
  let fileSystem: any FileSystem
  let options: SessionOptions
  let buffers: RequestBuffers
  private var isInitializing = false
  private var initReply: [UInt8] = []

  init(fileSystem: any FileSystem, options: SessionOptions, buffers: RequestBuffers) {
    self.fileSystem = fileSystem
    self.options = options
    self.buffers = buffers
  }

  /// Runs `body`, in which libfuse answers INIT. - Returns: the bytes of that answer.
  func catchingInitReply(_ body: () -> Void) -> [UInt8] {
    isInitializing = true
    body()
    isInitializing = false
    return initReply
  }

  /// Called for everything libfuse sends. - Returns: the count of bytes swallowed; nil to send it.
  func catchInitReply(_ pieces: UnsafeBufferPointer<iovec>) -> Int? {
    guard isInitializing else { return nil }
    for piece in pieces { initReply += UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len) }
    return initReply.count
  }

  /// libfuse's `init` callback: chooses among what the kernel offers.
  func choose(_ connection: inout fuse_conn_info) {
    func set(_ capability: Int32, _ wanted: Bool) {
      let bit = UInt32(bitPattern: capability)
      if wanted { connection.want |= bit & connection.capable } else { connection.want &= ~bit }
    }
    set(FUSE_CAP_SPLICE_READ, buffers.splices)
    set(FUSE_CAP_SPLICE_WRITE, true)
    set(FUSE_CAP_SPLICE_MOVE, true)
    set(FUSE_CAP_PARALLEL_DIROPS, true)
    set(FUSE_CAP_READDIRPLUS, true)
    set(FUSE_CAP_READDIRPLUS_AUTO, true)
    set(FUSE_CAP_ATOMIC_O_TRUNC, true)
    set(FUSE_CAP_WRITEBACK_CACHE, options.writeback)
    // All changes go through this mount: the kernel's pages are never stale.
    set(FUSE_CAP_AUTO_INVAL_DATA, false)
    set(FUSE_CAP_EXPORT_SUPPORT, false)
    // Version 2 is chosen in our patch of the answer; version 1 makes every write ask for security.capability.
    set(FUSE_CAP_HANDLE_KILLPRIV, false)
    connection.max_write = min(connection.max_write, UInt32(buffers.writeBytesMax))
    connection.max_background = options.backgroundMax
    connection.congestion_threshold = options.backgroundMax * 3 / 4
  }
}

internal import CFuse
internal import Glibc
internal import SystemPackage

/// The start of a session: INIT, on the first start answered to the kernel, later replayed to libfuse from the saved
/// bytes; after a worker's death the requests it had in hand are asked for again.
package struct Handshake {
  let device: FileDescriptor
  let shared: SharedState

  /// The INIT request: saved by an earlier worker, or read from the kernel (blocks until it comes, which is at once after
  /// mount(2)) and saved.
  func request() throws(SessionError) -> [UInt8] {
    if let saved = shared.savedInit { return saved }
    // A worker may have died between reading INIT and saving it.
    if shared.initWasExpected { _ = askAgain() }
    shared.initWasExpected = true
    var bytes = [UInt8](repeating: 0, count: KernelProtocol.readBufferBytesMin)
    while true {
      let count = read(device.rawValue, &bytes, bytes.count)
      if count >= KernelProtocol.inHeaderBytes {
        let request = Array(bytes[..<count])
        guard header(request).opcode == FUSE_INIT.rawValue, count <= KernelProtocol.initBytesMax else {
          throw .notInitialized
        }
        shared.saveInit(request)
        return request
      }
      let error = errno
      if count < 0, error == EINTR || error == EAGAIN || error == ENOENT { continue }
      throw .device(Errno(rawValue: error), doing: "reading the kernel's first request")
    }
  }

  /// Answers INIT unless an earlier worker did.
  func answer(_ reply: [UInt8], to request: [UInt8]) throws(SessionError) {
    let improved = Self.improved(reply, request: request)
    guard improved.count > KernelProtocol.outHeaderBytes else { throw .refused }
    if shared.initWasAnswered { return }
    let written = improved.withUnsafeBytes { write(device.rawValue, $0.baseAddress!, $0.count) }
    // ENOENT: an earlier worker did answer, and died before it could note that.
    guard written >= 0 || errno == ENOENT else {
      throw .device(Errno(rawValue: errno), doing: "answering the kernel's first request")
    }
    shared.initWasAnswered = true
  }

  /// Sets what this libfuse does not know: the kernel need not ask for `security.capability` before each write.
  package static func improved(_ reply: [UInt8], request: [UInt8]) -> [UInt8] {
    let flagsIn = KernelProtocol.inHeaderBytes + MemoryLayout<fuse_init_in>.offset(of: \fuse_init_in.flags)!
    let flagsOut = KernelProtocol.outHeaderBytes + MemoryLayout<fuse_init_out>.offset(of: \fuse_init_out.flags)!
    guard request.count >= flagsIn + 4, reply.count >= flagsOut + 4 else { return reply }
    let offered = request.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: flagsIn, as: UInt32.self) }
    guard offered & KernelProtocol.handleKillPrivilegesV2 != 0 else { return reply }
    var improved = reply
    improved.withUnsafeMutableBytes { bytes in
      let flags = bytes.loadUnaligned(fromByteOffset: flagsOut, as: UInt32.self)
      bytes.storeBytes(
        of: flags | KernelProtocol.handleKillPrivilegesV2, toByteOffset: flagsOut, as: UInt32.self)
    }
    return improved
  }

  /// Whether this kernel can hand requests out again (Linux 6.9 and later say so in INIT).
  package static func canResend(_ request: [UInt8]) -> Bool {
    let offset = KernelProtocol.inHeaderBytes + MemoryLayout<fuse_init_in>.offset(of: \fuse_init_in.flags2)!
    guard request.count >= offset + 4 else { return false }
    let flags = request.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    return flags & KernelProtocol.hasResendInFlags2 != 0
  }

  /// Asks the kernel to hand out again what an earlier worker took and did not answer. - Returns: whether it will.
  func askAgain() -> Bool {
    notify(errno: KernelProtocol.notifyResend, unique: 0)
  }

  /// Fails a request: one of an earlier worker, on kernels that cannot hand it out again, or one that must not be tried.
  func fail(_ unique: UInt64) { _ = notify(errno: -EIO, unique: unique) }

  private func notify(errno code: Int32, unique: UInt64) -> Bool {
    var header = fuse_out_header(len: UInt32(KernelProtocol.outHeaderBytes), error: code, unique: unique)
    return write(device.rawValue, &header, KernelProtocol.outHeaderBytes) >= 0
  }

  private func header(_ request: [UInt8]) -> RequestHeader {
    request.withUnsafeBytes { RequestHeader($0.baseAddress!) }
  }
}

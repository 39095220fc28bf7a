import Fuse
import Testing

@Suite struct HandshakeTests {
  /// INIT: 40 bytes of header, then major, minor, max_readahead, flags, flags2.
  private func request(flags: UInt32, flags2: UInt32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 104)
    bytes.withUnsafeMutableBytes {
      $0.storeBytes(of: flags, toByteOffset: 52, as: UInt32.self)
      $0.storeBytes(of: flags2, toByteOffset: 56, as: UInt32.self)
    }
    return bytes
  }

  private func flags(_ reply: [UInt8]) -> UInt32 {
    reply.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 28, as: UInt32.self) }
  }

  @Test("the file system takes over dropping privileges only if the kernel offers that")
  func killPrivileges() {
    let reply = [UInt8](repeating: 0, count: 80)
    #expect(flags(Handshake.improved(reply, request: request(flags: 1 << 28, flags2: 0))) == 1 << 28)
    #expect(flags(Handshake.improved(reply, request: request(flags: 1 << 27, flags2: 0))) == 0)
  }

  @Test("a refusal of libfuse is passed on as it is")
  func refusal() {
    let reply = [UInt8](repeating: 1, count: 16)
    #expect(Handshake.improved(reply, request: request(flags: .max, flags2: 0)) == reply)
  }

  @Test("kernels tell whether they hand requests out again")
  func resend() {
    #expect(Handshake.canResend(request(flags: 0, flags2: 1 << 7)))
    #expect(!Handshake.canResend(request(flags: 0, flags2: 1 << 6)))
    #expect(!Handshake.canResend([UInt8](repeating: 255, count: 56)))
  }
}

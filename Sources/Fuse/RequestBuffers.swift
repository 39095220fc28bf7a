internal import CFuse
internal import CLinux
internal import Glibc

/// How requests come from the kernel: through pipes where those can hold the largest, else by read(2) into memory.
///
/// Pipes save a copy of what is written. They are also safer: a worker that is killed while the kernel copies a request
/// into memory that was never touched cannot fault it in, and the kernel fails the request with EIO; so memory for
/// read(2) is touched beforehand.
struct RequestBuffers {
  /// Bytes of the largest WRITE.
  let writeBytesMax: Int
  let splices: Bool

  /// What libfuse adds to the largest WRITE for headers.
  private static let headerBytes = 4096
  /// Below this, splitting writes costs more than copying them.
  private static let splicedBytesMin = 128 << 10

  /// - Parameter agreed: the largest WRITE that an earlier worker agreed on with the kernel.
  static func choose(wanted: Int, agreed: Int?, threads: Int, maySplice: Bool) -> RequestBuffers {
    if let agreed {
      return RequestBuffers(
        writeBytesMax: agreed, splices: maySplice && pipesHold(agreed + headerBytes, count: threads))
    }
    guard maySplice else { return RequestBuffers(writeBytesMax: wanted, splices: false) }
    if pipesHold(wanted + headerBytes, count: threads) {
      return RequestBuffers(writeBytesMax: wanted, splices: true)
    }
    // Without CAP_SYS_RESOURCE a pipe holds /proc/sys/fs/pipe-max-size, normally 1 MiB: a 1 MiB write then comes in two.
    var bytes = 1 << 20
    while bytes - headerBytes >= splicedBytesMin {
      if bytes - headerBytes <= wanted, pipesHold(bytes, count: threads) {
        return RequestBuffers(writeBytesMax: bytes - headerBytes, splices: true)
      }
      bytes /= 2
    }
    return RequestBuffers(writeBytesMax: wanted, splices: false)
  }

  /// Memory for one thread's requests; nil where libfuse's own will do, as only small requests come into it.
  func allocate() -> UnsafeMutableRawPointer? {
    // The pipes of all threads that may run can be more than one user may have.
    if splices, Self.pipesHold(writeBytesMax + Self.headerBytes, count: 1) { return nil }
    // Room to spare, should another libfuse add more for headers than this one.
    let bytes = writeBytesMax + 16 * Self.headerBytes
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, 4096, bytes) == 0, let memory else { return nil }
    memset(memory, 0, bytes)
    return memory
  }

  /// Takes a request of `count` bytes out of `pipe`, so that the next one can come through it.
  func drain(pipe: CInt, count: Int) {
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { bytes in
      var left = count
      while left > 0 {
        let taken = read(pipe, bytes.baseAddress!, min(left, bytes.count))
        if taken < 0, errno == EINTR { continue }
        if taken <= 0 { return }
        left -= taken
      }
    }
  }

  /// Whether this user may have so many pipes of that size at once.
  private static func pipesHold(_ bytes: Int, count: Int) -> Bool {
    var ends: [CInt] = []
    defer { ends.forEach { close($0) } }
    for _ in 0..<count {
      var pipe: [CInt] = [0, 0]
      guard clinux_pipe_cloexec(&pipe) == 0 else { return false }
      ends += pipe
      guard clinux_set_pipe_bytes(pipe[0], bytes) >= bytes else { return false }
    }
    return true
  }
}

internal import CFuse
internal import CLinux
internal import Glibc

/// How libfuse talks to the kernel: the plain calls, except that the answer to INIT goes through our hands
/// (`SessionContext.catchInitReply`). The public way to do that: no descriptor is swapped, nothing is mounted by libfuse.
func makeDeviceIO() -> fuse_custom_io {
  var io = fuse_custom_io()
  io.read = { descriptor, buffer, count, _ in Glibc.read(descriptor, buffer, count) }
  io.writev = { descriptor, pieces, count, userdata in
    if let userdata, let pieces {
      let session = Unmanaged<SessionContext>.fromOpaque(userdata).takeUnretainedValue()
      if let caught = session.catchInitReply(UnsafeBufferPointer(start: pieces, count: Int(count))) { return caught }
    }
    return Glibc.writev(descriptor, pieces, count)
  }
  io.splice_receive = { from, _, to, _, count, flags, _ in clinux_splice(from, to, count, flags) }
  io.splice_send = { from, _, to, _, count, flags, _ in clinux_splice(from, to, count, flags) }
  return io
}

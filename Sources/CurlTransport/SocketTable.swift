import CLinux
import Glibc
import UploadCore

/// The sockets of libcurl's connections, which it does not name while a transfer runs. Uploader thread only; lives until
/// the last connection is closed.
final class SocketTable {
  private let unacknowledgedMax: Span
  /// As many as libcurl keeps connections.
  private var open: Set<Int32> = []

  /// - Parameter unacknowledgedMax: a connection whose bytes the other side has not acknowledged for so long ends; the
  ///   kernel alone would try for a quarter of an hour.
  init(unacknowledgedMax: Span) { self.unacknowledgedMax = unacknowledgedMax }

  /// Takes a new socket, before it connects.
  func opened(_ socket: Int32) {
    open.insert(socket)
    var milliseconds = UInt32(clamping: max(1, unacknowledgedMax.nanoseconds / 1_000_000))
    setsockopt(socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds, socklen_t(MemoryLayout<UInt32>.size))
    // Not for the programs that this process starts.
    _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
  }

  func close(_ socket: Int32) -> Int32 {
    open.remove(socket)
    return Glibc.close(socket)
  }

  /// Bytes that the kernel still has to get acknowledged on the connection from `localPort`; nil without one.
  func queuedBytes(localPort: Int) -> Int? {
    guard let socket = socket(localPort: localPort) else { return nil }
    var count: Int32 = 0
    return ioctl(socket, UInt(SIOCOUTQ), &count) == 0 ? Int(count) : nil
  }

  /// Makes the connection's end a reset. An orderly end would go on sending what nobody wants any more, which on a slow
  /// uplink is megabytes.
  func dropUnsentBytes(localPort: Int) {
    guard let socket = socket(localPort: localPort) else { return }
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }

  private func socket(localPort: Int) -> Int32? {
    guard localPort > 0 else { return nil }
    return open.first { Self.localPort(of: $0) == localPort }
  }

  private static func localPort(of socket: Int32) -> Int? {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
    }
    // The port lies at the same place in an IPv4 address.
    return code == 0 ? Int(UInt16(bigEndian: address.sin6_port)) : nil
  }
}

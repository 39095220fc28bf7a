import Glibc
import Synchronization

/// A system call of the test servers that failed.
public struct SocketError: Error, Sendable, CustomStringConvertible {
  public let call: String
  public let code: Int32
  public var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// Plain blocking TCP sockets on the loopback address.
enum Loopback {
  /// - Parameter port: 0 for any free one.
  static func listen(port: UInt16) throws(SocketError) -> Int32 {
    let descriptor = try make()
    var reuse: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, 4)
    // Small, or the kernel would take a whole chunk from the client while the server reads slowly or not at all.
    var buffer: Int32 = 64 << 10
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, 4)
    guard withAddress(port, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 64) == 0 else {
      let code = errno
      close(descriptor)
      throw SocketError(call: "listen", code: code)
    }
    return descriptor
  }

  static func connect(port: UInt16) throws(SocketError) -> Int32 {
    let descriptor = try make()
    guard withAddress(port, { Glibc.connect(descriptor, $0, $1) }) == 0 else {
      let code = errno
      close(descriptor)
      throw SocketError(call: "connect", code: code)
    }
    return descriptor
  }

  static func port(of descriptor: Int32) -> UInt16 {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return UInt16(bigEndian: address.sin_port)
  }

  /// Makes the coming `close` send a reset in place of an orderly end.
  static func resetOnClose(_ descriptor: Int32) {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }

  /// Wakes whoever reads from the socket; its owner closes it then. With `byReset` nothing is sent before the reset.
  static func end(_ descriptor: Int32, byReset: Bool) {
    if byReset { resetOnClose(descriptor) }
    shutdown(descriptor, Int32(byReset ? SHUT_RD : SHUT_RDWR))
  }

  /// - Returns: false when the other side is gone.
  static func send(_ bytes: some Collection<UInt8>, to descriptor: Int32) -> Bool {
    let array = Array(bytes)
    var sent = 0
    while sent < array.count {
      let count = array.withUnsafeBytes { buffer in
        Glibc.send(descriptor, buffer.baseAddress! + sent, buffer.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// - Returns: up to `count` bytes; empty at the end or when the other side is gone.
  static func receive(_ count: Int, from descriptor: Int32) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, size in
      size = max(0, recv(descriptor, buffer.baseAddress, count, 0))
    }
  }

  static func isReady(_ descriptor: Int32, _ events: Int32, milliseconds: Int32) -> Bool {
    var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    return poll(&polled, 1, milliseconds) > 0
  }

  private static func make() throws(SocketError) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_INET, type, 0)
    guard descriptor >= 0 else { throw SocketError(call: "socket", code: errno) }
    return descriptor
  }

  private static func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }
}

/// The sockets that threads are using: whoever opened one closes it, others may only shut it down.
final class OpenSockets: Sendable {
  private let open = Mutex<Set<Int32>>([])

  var count: Int { open.withLock { $0.count } }

  func insert(_ descriptor: Int32) { _ = open.withLock { $0.insert(descriptor) } }

  func closeOwn(_ descriptor: Int32) {
    open.withLock {
      $0.remove(descriptor)
      _ = close(descriptor)
    }
  }

  func shutDownAll(byReset: Bool = false) {
    open.withLock { sockets in
      for descriptor in sockets {
        Loopback.end(descriptor, byReset: byReset)
      }
    }
  }
}

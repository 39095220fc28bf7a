import Glibc
import Spool
import Supervisor
import SystemPackage

/// The socket of a mount's page, which the supervisor holds: nothing runs for the page until a browser connects.
struct PageSocket {
  let socket: FileDescriptor
  /// The file with the page's address and token.
  let file: String
  private let address: String
  private let note: String

  /// Listens at `wanted`, or on any free port when that one is taken. - Returns: nil when there is no page, with a
  /// sentence on standard error: a mount never fails because of it.
  static func open(_ wanted: PageAddress, state: StateDirectory) -> PageSocket? {
    var isOther = false
    var bound = listen(wanted.host, wanted.port)
    if bound == nil, wanted.port != 0 {
      (bound, isOther) = (listen(wanted.host, 0), true)
    }
    guard let (socket, port) = bound else {
      Terminal.complain("no web page: \(wanted.host) cannot be listened on: \(String(cString: strerror(errno)))")
      return nil
    }
    let address = "http://\(wanted.host.contains(":") ? "[\(wanted.host)]" : wanted.host):\(port)/"
    let page = PageFile(stateDirectory: state.path.string)
    do throws(SystemFailure) { try page.write(address: address) } catch {
      Terminal.complain("no web page: \(error)")
      Glibc.close(socket)
      return nil
    }
    return PageSocket(
      socket: FileDescriptor(rawValue: socket), file: page.path, address: address,
      note: isOther ? " (port \(wanted.port) is taken)" : "")
  }

  /// On a terminal with the token, which the page needs to change something. A log keeps no secrets.
  var announcement: String {
    let file = PageFile(path: self.file)
    return (file.announcement ?? "page: \(address)") + note
  }

  func close() {
    try? socket.close()
    unlink(file)
  }

  /// Connections that wait while the page's process starts.
  private static let backlog: Int32 = 64

  /// - Returns: a socket that listens, and its port; nil with errno.
  private static func listen(_ host: String, _ port: Int) -> (Int32, Int)? {
    let isSix = host.contains(":")
    let socket = Glibc.socket(isSix ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return nil }
    // The port of a mount that has just ended is free.
    var yes: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    let isBound = isSix ? bind(socket, six(port)) : bind(socket, four(port))
    guard isBound, Glibc.listen(socket, backlog) == 0, let port = boundPort(socket) else {
      let reason = errno
      Glibc.close(socket)
      errno = reason
      return nil
    }
    return (socket, port)
  }

  private static func four(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }

  private static func six(_ port: Int) -> sockaddr_in6 {
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = in_port_t(UInt16(port).bigEndian)
    address.sin6_addr = in6addr_loopback
    return address
  }

  private static func bind<Address>(_ socket: Int32, _ address: Address) -> Bool {
    withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.bind(socket, $0, socklen_t(MemoryLayout<Address>.size)) == 0
      }
    }
  }

  /// The port stands at the same place in both kinds of addresses.
  private static func boundPort(_ socket: Int32) -> Int? {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let isKnown = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) == 0 }
    }
    return isKnown ? Int(UInt16(bigEndian: address.sin6_port)) : nil
  }
}

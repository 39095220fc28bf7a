import Glibc

/// One TCP connection with a time limit: connects, sends a little, reads the beginning of the answer.
enum TCPProbe {
  struct Failure: Error, Equatable {
    let message: String
    let mend: String
  }

  /// A destination that needs longer to answer is as good as away.
  static let secondsMax = 5.0
  /// The head of an HTTP answer.
  static let answerBytesMax = 16 << 10

  /// - Parameter send: nil only connects.
  /// - Returns: what was answered, up to `answerBytesMax`.
  static func exchange(host: String, port: Int, send: String?) -> Result<[UInt8], Failure> {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else {
      return .failure(
        Failure(
          message: "the name \(host) is not found (\(String(cString: gai_strerror(code))))",
          mend: "correct the name, or look at the network and its name server"))
    }
    defer { freeaddrinfo(list) }
    let end = MonotonicSeconds.now() + secondsMax
    var reason = ETIMEDOUT
    var next = list
    while let address = next {
      next = address.pointee.ai_next
      let descriptor = socket(
        address.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      reason = connect(descriptor, address.pointee, until: end)
      if reason != 0 { continue }
      guard let send else { return .success([]) }
      return talk(descriptor, Array(send.utf8), until: end)
    }
    return .failure(
      Failure(
        message: "no connection (\(String(cString: strerror(reason))))",
        mend: "is the receiver running there (reelfs receive), and does a firewall let port \(port) through?"))
  }

  /// - Returns: 0 once connected, else errno.
  private static func connect(_ descriptor: Int32, _ address: addrinfo, until end: Double) -> Int32 {
    if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return 0 }
    guard errno == EINPROGRESS else { return errno }
    guard ready(descriptor, POLLOUT, until: end) else { return ETIMEDOUT }
    var number: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size) == 0 ? number : errno
  }

  private static func talk(_ descriptor: Int32, _ request: [UInt8], until end: Double) -> Result<[UInt8], Failure> {
    let silent = Failure(
      message: "connected, but there was no answer within \(Int(secondsMax)) s",
      mend: "look into the receiver's log; is another program on this port?")
    // A request of a few hundred bytes fits any socket buffer at once.
    guard Glibc.send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
      return .failure(silent)
    }
    var answer: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4_096)
    while answer.count < answerBytesMax, ready(descriptor, POLLIN, until: end) {
      let count = recv(descriptor, &block, block.count, 0)
      guard count > 0 else { break }
      answer += block[..<count]
    }
    return answer.isEmpty ? .failure(silent) : .success(answer)
  }

  private static func ready(_ descriptor: Int32, _ events: Int32, until end: Double) -> Bool {
    var wanted = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    let left = max(0, end - MonotonicSeconds.now())
    return poll(&wanted, 1, Int32(left * 1_000)) > 0
  }
}

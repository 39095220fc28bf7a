import Glibc

/// One connection of a `FaultyServer`, on its own thread.
struct Conversation {
  /// Longest head taken, as much as most servers do.
  private static let headBytesMax = 64 << 10
  private static let blockBytes = 256 << 10

  private let descriptor: Int32
  private let number: Int
  private let log: RequestLog
  private let behave: @Sendable (RequestHead) -> Behaviour
  /// Read from the socket but not used yet.
  private var rest: [UInt8] = []

  init(_ descriptor: Int32, number: Int, log: RequestLog, behave: @escaping @Sendable (RequestHead) -> Behaviour) {
    self.descriptor = descriptor
    self.number = number
    self.log = log
    self.behave = behave
  }

  /// Returns when the connection is to be closed.
  consuming func run() {
    while let head = readHead() {
      guard perform(behave(head), for: head) else { return }
    }
  }

  /// - Returns: whether the connection goes on.
  private mutating func perform(_ behaviour: Behaviour, for head: RequestHead) -> Bool {
    switch behaviour {
    case .answer(let answer):
      return readBody(of: head) && send(answer.bytes) && !answer.closesConnection
    case .delayed(let milliseconds, let answer):
      guard readBody(of: head), !clientLeaves(within: Int32(milliseconds)) else { return false }
      return send(answer.bytes) && !answer.closesConnection
    case .answerTwice(let answer):
      return readBody(of: head) && send(answer.bytes + answer.bytes)
    case .cutAnswer(let answer, let count):
      _ = readBody(of: head) && send(Array(answer.bytes.prefix(count)))
      return false
    case .answerEarly(let answer):
      // Closed at once, with unread bytes, the connection would be reset, and the answer perhaps lost.
      if send(answer.bytes) { _ = clientLeaves(within: -1) }
      return false
    case .garbage(let bytes):
      _ = readBody(of: head) && send(bytes)
      return false
    case .endless:
      if readBody(of: head) { sendWithoutEnd() }
      return false
    case .cut(let count):
      readBody(of: head, upTo: count)
      return false
    case .reset(let count):
      readBody(of: head, upTo: count)
      Loopback.resetOnClose(descriptor)
      return false
    case .stall(let count):
      readBody(of: head, upTo: count)
      _ = clientLeaves(within: -1)
      return false
    case .slowRead(let rate, let answer):
      return readBody(of: head, bytesPerSecond: rate) && send(answer.bytes)
    }
  }

  private mutating func readHead() -> RequestHead? {
    let end = Array("\r\n\r\n".utf8)
    while true {
      if let position = rest.firstRange(of: end) {
        let text = String(decoding: rest[..<position.lowerBound], as: UTF8.self)
        rest.removeSubrange(..<position.upperBound)
        return parse(text)
      }
      let more = Loopback.receive(Self.blockBytes, from: descriptor)
      guard !more.isEmpty, rest.count < Self.headBytesMax else { return nil }
      rest += more
    }
  }

  private func parse(_ text: String) -> RequestHead? {
    let lines = text.split(separator: "\r\n").map(String.init)
    let words = lines.first?.split(separator: " ").map(String.init) ?? []
    guard words.count == 3 else { return nil }
    return RequestHead(
      number: log.headArrived(), connection: number, method: words[0], target: words[1],
      headers: Array(lines.dropFirst()))
  }

  /// Reads the body, or its beginning, and writes the request down. - Returns: whether all of it came.
  @discardableResult
  private mutating func readBody(of head: RequestHead, upTo limit: Int = .max, bytesPerSecond: Int? = nil) -> Bool {
    let wanted = min(head.contentLength, limit)
    // A tenth of a second's worth at a time.
    let block = bytesPerSecond.map { max(1, $0 / 10) } ?? Self.blockBytes
    var body: [UInt8] = []
    var count = 0
    while count < wanted {
      if rest.isEmpty { rest = Loopback.receive(min(block, wanted - count), from: descriptor) }
      guard !rest.isEmpty else { break }
      let taken = min(rest.count, wanted - count, block)
      if log.keepsBodies { body += rest[..<taken] }
      if taken == rest.count { rest.removeAll() } else { rest.removeFirst(taken) }
      count += taken
      if bytesPerSecond != nil { usleep(100_000) }
    }
    log.append(ReceivedRequest(head: head, bodyCount: count, body: body))
    return count == head.contentLength
  }

  private func send(_ bytes: [UInt8]) -> Bool { Loopback.send(bytes, to: descriptor) }

  private func sendWithoutEnd() {
    let block = [UInt8](repeating: UInt8(ascii: "x"), count: 64 << 10)
    guard send(Array("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".utf8)) else { return }
    while send(block) {}
  }

  /// - Parameter milliseconds: -1 waits for ever.
  private func clientLeaves(within milliseconds: Int32) -> Bool {
    // POLLRDHUP, which the Glibc module does not offer; POLLHUP and POLLERR always count.
    Loopback.isReady(descriptor, 0x2000, milliseconds: milliseconds)
  }
}

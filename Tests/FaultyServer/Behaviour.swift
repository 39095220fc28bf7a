import Foundation

/// What the server does with one request.
public enum Behaviour: Sendable {
  case answer(Answer)
  /// The same, so much later.
  case delayed(milliseconds: Int, Answer)
  /// Two answers to one request, one after the other.
  case answerTwice(Answer)
  /// The answer, of which only the first bytes arrive before the connection ends.
  case cutAnswer(Answer, afterBytes: Int)
  /// The answer right after the head, without reading the body; then the connection ends.
  case answerEarly(Answer)
  /// Any bytes, not even HTTP; then the connection ends.
  case garbage([UInt8])
  /// An answer that goes on until the client leaves.
  case endless
  /// The connection ends once so many bytes of the body have been read.
  case cut(afterBodyBytes: Int)
  /// The same, with a TCP reset.
  case reset(afterBodyBytes: Int)
  /// Reads so many bytes of the body, then nothing more, and never answers.
  case stall(afterBodyBytes: Int)
  /// Reads the body no faster than this, then answers.
  case slowRead(bytesPerSecond: Int, Answer)

  /// Ends the connection as soon as the head is there.
  public static let closeAtOnce = Behaviour.cut(afterBodyBytes: 0)
}

/// One HTTP answer.
public struct Answer: Sendable {
  public var status: Int
  public var headers: [String]
  public var body: [UInt8]
  /// Says so in a header, and does.
  public var closesConnection = false

  public init(_ status: Int, headers: [String] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  public static func json(_ status: Int, _ text: String, headers: [String] = []) -> Answer {
    Answer(status, headers: ["Content-Type: application/json"] + headers, body: Array(text.utf8))
  }

  /// What a receiver answers to a chunk that it has stored.
  public static func receipt(for request: RequestHead) -> Answer {
    let digest = request.header("Content-Digest")?.dropFirst("sha-256=:".count).dropLast() ?? ""
    let hex = (Data(base64Encoded: String(digest)) ?? Data()).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return json(
      200,
      """
      {"session_id":"\(request.header("Session-Id") ?? "")","chunk_index":\(request.header("Chunk-Index") ?? "0"),\
      "chunk_version":\(request.header("Chunk-Version") ?? "1"),"bytes":\(request.contentLength),\
      "sha256":"\(hex.joined())"}
      """)
  }

  var bytes: [UInt8] {
    var lines = ["HTTP/1.1 \(status) \(status < 400 ? "Fine" : "Refused")", "Content-Length: \(body.count)"]
    if closesConnection { lines.append("Connection: close") }
    return Array((lines + headers + ["", ""]).joined(separator: "\r\n").utf8) + body
  }
}

/// The head of a request, as it came.
public struct RequestHead: Sendable {
  /// Counts all requests of the server, from 0.
  public let number: Int
  /// Counts the server's connections, from 0.
  public let connection: Int
  public let method: String
  public let target: String
  public let headers: [String]

  /// The value of the first header of that name; nil without one.
  public func header(_ name: String) -> String? {
    let prefix = name.lowercased() + ":"
    return headers.first { $0.lowercased().hasPrefix(prefix) }
      .map { $0.dropFirst(prefix.count).trimmingCharacters(in: .whitespaces) }
  }

  public var contentLength: Int { header("Content-Length").flatMap { Int($0) } ?? 0 }
}

/// A request, with as much of its body as was read.
public struct ReceivedRequest: Sendable {
  public let head: RequestHead
  public let bodyCount: Int
  /// Empty unless the server keeps bodies.
  public let body: [UInt8]
}

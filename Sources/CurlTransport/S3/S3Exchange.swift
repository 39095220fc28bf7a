package import S3Protocol
package import UploadCore

// S3's requests and answers as HTTP's. What they mean is S3Protocol's business.

extension HTTPRequest {
  /// A signed request, byte for byte as it was signed.
  /// - Parameter content: the bytes of a body whose facts alone were signed, in pieces; not looked at for other bodies.
  package init(
    _ signed: S3SignedRequest, content: [[UInt8]] = [], stallTimeout: Span, heartbeat: Span? = nil,
    bytesPerSecondMax: Int? = nil
  ) {
    self.init(
      Method(signed.method), signed.url, headers: signed.headers.map(Self.line), body: Self.body(signed, content),
      stallTimeout: stallTimeout, heartbeat: heartbeat, bytesPerSecondMax: bytesPerSecondMax)
  }

  /// libcurl takes `name:` without a value as "do not send it", and `name;` as "send it without a value".
  private static func line(_ header: S3Header) -> String { header.value.isEmpty ? header.name + ";" : header.line }

  /// PUT and POST always have a body, if an empty one: servers answer 411 to one without a Content-Length.
  private static func body(_ signed: S3SignedRequest, _ content: [[UInt8]]) -> RequestBody? {
    switch signed.body {
    case .none: return signed.method == .put || signed.method == .post ? RequestBody([]) : nil
    case .document(let bytes): return RequestBody(bytes: bytes)
    case .content(let facts):
      let body = RequestBody(content.map { .plain($0) })
      precondition(Int64(body.count) == facts.count, "the bytes sent are those that were signed")
      return body
    }
  }
}

extension HTTPRequest.Method {
  init(_ method: S3Method) {
    switch method {
    case .get: self = .get
    case .head: self = .head
    case .put: self = .put
    case .post: self = .post
    case .delete: self = .delete
    }
  }
}

extension S3Answer {
  package init(_ answer: HTTPAnswer) {
    self.init(status: answer.status, headers: answer.headers, body: answer.body)
  }
}

package import UploadCore

/// One HTTP request, ready to be sent.
package struct HTTPRequest {
  package enum Method: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case head = "HEAD"
    case delete = "DELETE"
    case options = "OPTIONS"
  }

  package let method: Method
  package let url: String
  /// Whole lines, `Name: value`, in ASCII without line ends.
  package let headers: [String]
  /// nil: none, and no Content-Length.
  package let body: RequestBody?
  /// The request is given up when no byte of it or of its answer moved for so long.
  package let stallTimeout: Span
  /// Reported as alive this often while that timeout lasts, although nothing moves; nil: only what moves is reported.
  package let heartbeat: Span?
  /// Bytes a second for the body; nil: as fast as it goes.
  package let bytesPerSecondMax: Int?

  package init(
    _ method: Method, _ url: String, headers: [String] = [], body: RequestBody? = nil, stallTimeout: Span,
    heartbeat: Span? = nil, bytesPerSecondMax: Int? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.stallTimeout = stallTimeout
    self.heartbeat = heartbeat
    self.bytesPerSecondMax = bytesPerSecondMax
  }
}

/// How one request ended, before anybody has asked what it means.
package enum HTTPResult: Sendable {
  case answered(HTTPAnswer)
  /// libcurl gave up: a CURLcode, and a sentence.
  case failed(code: UInt32, String)
  /// No byte moved for so long.
  case stalled(Span)
  /// The answer was cut off at `HTTPAnswer.bytesMax`.
  case endless
}

/// An answer as far as this side looks at it.
package struct HTTPAnswer: Sendable {
  /// Longest body taken: a list of 10,000 missing chunks is 80 KB, a page of 10,000 chunks of a session 1.3 MB.
  package static let bytesMax = 2 << 20
  package var status: Int
  /// By lower-case name; of several lines of one name the last.
  package var headers: [String: String]
  package var body: [UInt8]

  package var retryAfter: String? { headers["retry-after"] }
  package var location: String? { headers["location"] }
  package var date: String? { headers["date"] }

  package init(
    status: Int, retryAfter: String? = nil, location: String? = nil, date: String? = nil, body: [UInt8] = []
  ) {
    self.init(
      status: status,
      headers: ["retry-after": retryAfter, "location": location, "date": date].compactMapValues { $0 }, body: body)
  }

  package init(status: Int, headers: [String: String], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }
}

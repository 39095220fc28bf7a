import HTTPTypes
import Hummingbird
import NIOCore

/// Answers as the protocol gives them.
enum Reply {
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: JSON.encode(value))))
  }

  static func error(_ error: ReceiverError) -> Response {
    var body = ErrorBody(error: error.code, message: error.description)
    if case .superseded(let current) = error { body.chunkVersion = current }
    if case .incomplete(let missing) = error { body.missing = missing }
    var response = json(body, status: error.status)
    if let seconds = error.retryAfterSeconds { response.headers[.retryAfter] = String(seconds) }
    if error == .unknownEncoding { response.headers[.acceptEncoding] = ContentEncoding.zstd.rawValue }
    if error == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
    if case .methodNotAllowed(let allowed) = error { response.headers[.allow] = allowed }
    return response
  }

  private struct ErrorBody: Encodable {
    let error: String
    let message: String
    var chunkVersion: UInt32?
    var missing: [Int]?
  }
}

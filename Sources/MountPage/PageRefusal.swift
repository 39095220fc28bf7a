import HTTPTypes
import Hummingbird
import NIOCore
import PageServing
import SyncStatus

/// Everything the page of a mount can refuse, and the only place where it becomes an HTTP answer.
enum PageRefusal: Error, Equatable {
  case foreignHost, foreignOrigin, unauthorized, notFound
  case methodNotAllowed(String)
  case badCommand(String)
  case tooLarge(bytesMax: Int)
  case tooManyPages
  /// The mount did not take or tell something; with its reason.
  case mount(String)

  private var status: HTTPResponse.Status {
    switch self {
    case .foreignHost, .foreignOrigin: .forbidden
    case .unauthorized: .unauthorized
    case .notFound: .notFound
    case .methodNotAllowed: .methodNotAllowed
    case .badCommand: .badRequest
    case .tooLarge: .contentTooLarge
    case .tooManyPages, .mount: .serviceUnavailable
    }
  }

  /// The sentence for people.
  var message: String {
    switch self {
    case .foreignHost: "This page is served to this machine, under the name localhost or 127.0.0.1."
    case .foreignOrigin: "Another web site may not ask this."
    case .unauthorized: "Open the page with the address that `reelfs web` prints: its token is missing or old."
    case .notFound: "There is nothing at this address."
    case .methodNotAllowed(let allowed): "This address takes \(allowed)."
    case .badCommand(let reason): reason
    case .tooLarge(let limit): "More than \(limit) bytes of commands at once."
    case .tooManyPages: "\(LiveFeed.listenersMax) pages are open already: close one."
    case .mount(let reason): reason
    }
  }

  var response: Response {
    var json = JSONText()
    json.beginObject()
    json.add("message", message)
    json.endObject()
    var headers: HTTPFields = [.contentType: "application/json", .cacheControl: "no-store"]
    if case .methodNotAllowed(let allowed) = self { headers[.allow] = allowed }
    if self == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
    if self == .tooManyPages { headers[.retryAfter] = "5" }
    PageHeaders.add(to: &headers)
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes)))
  }
}

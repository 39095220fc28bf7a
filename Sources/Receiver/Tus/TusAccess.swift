import Foundation
import HTTPTypes
import Hummingbird

/// Which web pages may upload, and what their browsers must be told for it.
///
/// With a token any origin may: there are no cookies, so a page can do only what the token it was given allows, and
/// `*` gives it nothing that a program could not do. Without a token whoever reaches the port may do everything, and
/// every page that a browser on this machine shows reaches it; so only pages of this machine are let in.
struct TusAccess: Sendable {
  let hasToken: Bool

  /// - Throws: `.foreignOrigin`. Browsers always say where a page that changes something comes from.
  func check(_ request: Request) throws(ReceiverError) {
    guard !hasToken, let origin = request.headers[.origin] else { return }
    if !Self.isOfThisMachine(origin) { throw .foreignOrigin }
  }

  /// Adds what tus and browsers want in every answer, errors included.
  func dress(_ answer: Response, for request: Request) -> Response {
    var response = request.method == .head ? answer.createHeadResponse() : answer
    response.headers[.tusResumable] = TusEndpoint.version
    if response.status == .preconditionFailed { response.headers[.tusVersion] = TusEndpoint.version }
    guard let origin = request.headers[.origin] else { return response }
    if hasToken {
      response.headers[.accessControlAllowOrigin] = "*"
    } else if Self.isOfThisMachine(origin) {
      response.headers[.accessControlAllowOrigin] = origin
      response.headers[.vary] = "Origin"
    } else {
      return response
    }
    response.headers[.accessControlExposeHeaders] = Self.exposed
    if request.method == .options {
      response.headers[.accessControlAllowMethods] = "POST, HEAD, PATCH, PUT, DELETE, OPTIONS"
      response.headers[.accessControlAllowHeaders] = Self.allowed
      // A day; browsers cut it to what they think right.
      response.headers[.accessControlMaxAge] = "86400"
    }
    return response
  }

  private static let exposed =
    "Location, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, "
    + "Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires, Upload-Concat, Retry-After"
  private static let allowed =
    "Authorization, Content-Type, Tus-Resumable, Upload-Offset, Upload-Length, Upload-Defer-Length, "
    + "Upload-Metadata, Upload-Checksum, Upload-Concat, X-HTTP-Method-Override, X-Requested-With, X-Request-ID"

  /// `http://localhost`, `https://127.0.0.1:3000`, `http://[::1]:8080`.
  private static func isOfThisMachine(_ origin: String) -> Bool {
    guard let start = origin.range(of: "://") else { return false }
    let scheme = origin[..<start.lowerBound]
    guard scheme == "http" || scheme == "https" else { return false }
    var host = origin[start.upperBound...]
    if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
      guard host[host.index(after: colon)...].utf8.allSatisfy({ (48...57).contains($0) }) else { return false }
      host = host[..<colon]
    }
    return host == "localhost" || host == "[::1]" || host == "127.0.0.1"
  }
}

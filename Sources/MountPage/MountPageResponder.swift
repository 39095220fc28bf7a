import HTTPTypes
package import Hummingbird
import NIOCore
import PageServing
import SyncStatus
import Synchronization
import UploadProtocol

/// Answers the requests of a mount's page. Reading needs no token, as only this machine can ask; whatever changes
/// something needs the one that the mount printed at its start.
package struct MountPageResponder: Sendable {
  private let folder: StatusFolder
  private let token: TokenCheck
  private let listenHost: String
  let feed: LiveFeed

  /// Bytes of control lines in one request: what a selection of a hundred recordings takes.
  private static let commandBytesMax = 64 << 10

  package init(mountpoint: String, token: String, listenHost: String) {
    let folder = StatusFolder(mountpoint: mountpoint)
    self.folder = folder
    self.token = TokenCheck(token: token)
    self.listenHost = listenHost
    feed = LiveFeed { () async throws in
      do throws(PageRefusal) { return try await folder.snapshot() } catch { throw Trouble(description: error.message) }
    }
  }

  private struct Trouble: Error, CustomStringConvertible {
    let description: String
  }

  /// Ends the live streams.
  package func stop() async { await feed.stop() }

  package func respond(to request: Request) async -> Response {
    do throws(PageRefusal) { return try await answer(request) } catch { return error.response }
  }

  private func answer(_ request: Request) async throws(PageRefusal) -> Response {
    switch BrowserGuard.refusal(of: request.head, listeningOn: listenHost) {
    case nil: break
    case .foreignHost: throw .foreignHost
    case .foreignOrigin: throw .foreignOrigin
    }
    let path = request.uri.path
    if PageAssets.mount.has(path) {
      try allow(request, .get, .head)
      if let file = PageAssets.mount.answer(request) { return file }
    }
    switch path {
    case "/api/events":
      try allow(request, .get)
      guard let stream = await feed.response(to: request) else { throw .tooManyPages }
      return stream
    case "/api/token":
      try allow(request, .get)
      try checkToken(request)
      return reply([], type: nil, status: .noContent)
    case "/api/control":
      try allow(request, .post)
      try checkToken(request)
      return try await control(request)
    case "/metrics":
      try allow(request, .get, .head)
      return reply(try await folder.metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
    default: return try await chunkMap(request, path)
    }
  }

  private func chunkMap(_ request: Request, _ path: String) async throws(PageRefusal) -> Response {
    guard path.hasPrefix("/api/chunks/"), let session = SessionID(text: String(path.dropFirst(12))) else {
      throw .notFound
    }
    try allow(request, .get, .head)
    return reply(try await folder.chunkMap(of: session), type: "application/json")
  }

  private func control(_ request: Request) async throws(PageRefusal) -> Response {
    let lines: [UInt8]
    do {
      lines = Array(try await request.body.collect(upTo: Self.commandBytesMax).readableBytesView)
    } catch {
      throw .tooLarge(bytesMax: Self.commandBytesMax)
    }
    // The mount would only say EINVAL; this says what is wrong.
    let requests: [ControlRequest]
    do throws(TextError) { requests = try ControlText.parse(lines) } catch { throw .badCommand(error.message) }
    guard !requests.isEmpty else { throw .badCommand("There is no command in it.") }
    try await folder.control(lines)
    return reply([], type: nil, status: .noContent)
  }

  private func checkToken(_ request: Request) throws(PageRefusal) {
    guard token.verdict(request.headers) == .allowed else { throw .unauthorized }
  }

  private func allow(_ request: Request, _ methods: HTTPRequest.Method...) throws(PageRefusal) {
    guard methods.contains(request.method) else {
      throw .methodNotAllowed(methods.map(\.rawValue).joined(separator: ", "))
    }
  }

  private func reply(_ bytes: [UInt8], type: String?, status: HTTPResponse.Status = .ok) -> Response {
    var headers: HTTPFields = [.cacheControl: "no-store"]
    headers[.contentType] = type
    PageHeaders.add(to: &headers)
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}

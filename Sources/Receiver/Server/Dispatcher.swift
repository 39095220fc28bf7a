import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import PageServing
import UploadProtocol

/// What the dispatcher needs to know of a connection.
struct RequestOrigin: InitializableFromSource {
  let channel: any Channel
  let logger: Logger

  init(source: ApplicationRequestContextSource) {
    channel = source.channel
    logger = source.logger
  }
}

/// Finds who answers a request. Every error leaves here, as JSON.
struct Dispatcher: HTTPResponder {
  let tokenCheck: TokenCheck
  let listenHost: String
  /// Without a token, for whoever is on this machine.
  let isOpen: Bool
  let page: ReceiverPage
  let chunks: ChunkEndpoint
  let wholes: WholeRecordingsEndpoint
  let sessions: SessionEndpoint
  let recordings: RecordingEndpoint
  let chunkReads: ChunkReadEndpoint
  let tus: TusEndpoint

  /// What of an unread body is read and thrown away, so that the client sees the answer; a longer one ends the
  /// connection.
  static let discardedBytesMax = 4 << 20

  func respond(to request: Request, context: RequestOrigin) async throws -> Response {
    let response = await respond(request, context)
    return TusEndpoint.owns(request.uri.path) ? tus.access.dress(response, for: request) : response
  }

  private func respond(_ request: Request, _ context: RequestOrigin) async -> Response {
    do throws(ReceiverError) { return try await answer(request, context.channel) } catch {
      if case .storage(let reason) = error { context.logger.error("request failed", metadata: ["reason": "\(reason)"]) }
      let response = Reply.error(error)
      return request.hasEndlessBody ? response.closing(context.channel) : response
    }
  }

  private func answer(_ request: Request, _ channel: any Channel) async throws(ReceiverError) -> Response {
    let path = request.uri.path
    let verdict = tokenCheck.verdict(request.headers)
    if path == Routes.health, verdict != .wrong {
      try request.allow([.get, .head])
      return Reply.json(["status": "ok"])
    }
    if isOpen { try refuseOtherSites(request) }
    if let file = try page.file(request) { return file }
    if TusEndpoint.owns(path), request.method == .options, verdict != .wrong { return tus.options() }
    if verdict == .missing, path.hasPrefix(Routes.recordings + "/") {
      let address = path.dropFirst(Routes.recordings.count + 1)
      if page.allows(request, address) { return try await recordings.read(request, address) }
    }
    guard verdict == .allowed else { throw .unauthorized }
    if let answer = try await page.answer(request) { return answer }
    if path == Routes.chunk {
      try request.allow([.post])
      return try await chunks.store(request)
    }
    guard try ContentEncoding(request.headers) == .identity else { throw .unknownEncoding }
    if path == Routes.wholeRecordings {
      try request.allow([.post])
      return try await wholes.store(request)
    }
    if TusEndpoint.owns(path) { return try await tus.answer(request, channel) }
    if path == Routes.recordings || path == Routes.recordings + "/" {
      try request.allow([.get, .head])
      return try await recordings.list(request)
    }
    if path.hasPrefix(Routes.recordings + "/") {
      try request.allow([.get, .head])
      return try await recordings.read(request, path.dropFirst(Routes.recordings.count + 1))
    }
    if path.hasPrefix(Routes.sessions + "/") {
      return try await session(request, path.dropFirst(Routes.sessions.count + 1))
    }
    throw .notFound
  }

  /// A page of any site in a browser on this machine reaches a receiver without a token. `TusAccess` looks at origins by
  /// itself: it lets pages of other programs on this machine in.
  private func refuseOtherSites(_ request: Request) throws(ReceiverError) {
    let refusal =
      TusEndpoint.owns(request.uri.path)
      ? BrowserGuard.hostRefusal(of: request.head, listeningOn: listenHost)
      : BrowserGuard.refusal(of: request.head, listeningOn: listenHost)
    switch refusal {
    case nil: return
    case .foreignHost: throw .foreignHost
    case .foreignOrigin: throw .foreignOrigin
    }
  }

  private func session(_ request: Request, _ rest: Substring) async throws(ReceiverError) -> Response {
    let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
    if parts.count == 3, parts[1] == "chunks" {
      try request.allow([.get, .head])
      guard let name = SessionName(String(parts[0])) else { throw .badSession }
      guard let index = Int(parts[2]), (0...ChunkLayout.indexMax).contains(index) else { throw .badIndex }
      return try await chunkReads.read(request, name, index: index)
    }
    guard parts.count <= 2, parts.count == 1 || parts[1] == "complete" else { throw .notFound }
    guard let name = SessionName(String(parts[0])) else { throw .badSession }
    if parts.count == 2 {
      try request.allow([.post])
      return try await sessions.complete(request, name)
    }
    try request.allow([.get, .head, .put])
    return request.method == .put
      ? try await sessions.announce(request, name) : try await sessions.report(request, name)
  }
}

extension Request {
  func allow(_ methods: [HTTPRequest.Method]) throws(ReceiverError) {
    guard methods.contains(method) else {
      throw .methodNotAllowed(allowed: methods.map(\.rawValue).joined(separator: ", "))
    }
  }

  /// Whether more would have to be discarded than is worth it.
  fileprivate var hasEndlessBody: Bool {
    headers[.transferEncoding] != nil || (contentLength ?? 0) > Dispatcher.discardedBytesMax
  }
}

extension Response {
  /// The same answer, after which the connection ends.
  fileprivate func closing(_ channel: any Channel) -> Response {
    let body = self.body
    var response = Response(
      status: status, headers: headers,
      body: ResponseBody(contentLength: body.contentLength) { writer in
        try await body.write(writer)
        channel.close(promise: nil)
      })
    response.headers[.connection] = "close"
    return response
  }
}

import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import PageServing

/// The receiver's own page, and what it asks for: `/`, `/api/…`, `/metrics`.
struct ReceiverPage: Sendable {
  let tickets = PlayTickets()
  let feed: LiveFeed
  private let overview: ReceiverOverview

  init(catalog: Catalog) {
    let overview = ReceiverOverview(catalog: catalog)
    self.overview = overview
    feed = LiveFeed { () async throws in
      do throws(CatalogError) { return try await overview.snapshot() } catch { throw ReceiverError(error) }
    }
  }

  /// The page's files hold no secrets: the page must be there to ask for the token.
  func file(_ request: Request) throws(ReceiverError) -> Response? {
    guard PageAssets.receiver.has(request.uri.path) else { return nil }
    try request.allow([.get, .head])
    return PageAssets.receiver.answer(request)
  }

  /// nil: not an address of the page. The token has been checked.
  func answer(_ request: Request) async throws(ReceiverError) -> Response? {
    switch request.uri.path {
    case "/api/events":
      try request.allow([.get])
      guard let stream = await feed.response(to: request) else { throw .busy(retryAfterSeconds: 5) }
      return stream
    case "/api/ticket":
      try request.allow([.get])
      return try ticket(request)
    case "/metrics":
      try request.allow([.get, .head])
      return try await metrics()
    default: return nil
    }
  }

  /// Whether a request without a token may read a recording.
  func allows(_ request: Request, _ address: Substring) -> Bool {
    guard request.method == .get || request.method == .head, let path = try? RecordingPath(percentEncoded: address) else {
      return false
    }
    return tickets.allows(request, path.location, now: Self.now)
  }

  /// `?of=/recordings/…`, as the events name it.
  private func ticket(_ request: Request) throws(ReceiverError) -> Response {
    let prefix = "/recordings/"
    guard let location = request.uri.queryParameters["of"], location.hasPrefix(prefix) else {
      throw .badBody("of must be the address of a recording.")
    }
    let path = try RecordingPath(percentEncoded: location.dropFirst(prefix.count))
    return Reply.json(["url": tickets.address(of: path.location, now: Self.now)])
  }

  private func metrics() async throws(ReceiverError) -> Response {
    let totals: ReceiverOverview.Totals
    do throws(CatalogError) { totals = try await overview.totals() } catch { throw ReceiverError(error) }
    let text = """
      # HELP reelfs_receiver_recordings Recordings by state.
      # TYPE reelfs_receiver_recordings gauge
      reelfs_receiver_recordings{state="complete"} \(totals.complete)
      reelfs_receiver_recordings{state="receiving"} \(totals.recordings - totals.complete)
      # HELP reelfs_receiver_complete_bytes Bytes in complete recordings.
      # TYPE reelfs_receiver_complete_bytes gauge
      reelfs_receiver_complete_bytes \(totals.bytes)

      """
    return Response(
      status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }

  private static var now: Int64 { Int64(Date().timeIntervalSince1970) }
}

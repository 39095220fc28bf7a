import HTTPTypes
import Hummingbird

/// `/upload/sessions/{id}` and its `/complete`.
struct SessionEndpoint: Sendable {
  let vault: Vault
  let catalog: Catalog
  let limits: ReceiverConfiguration.Limits
  /// Completions of recordings up to 100 GB, some MiB each while they are decoded.
  let completionBudget = BodyBudget(bodiesMax: 8)
  /// Longer ones take a hundred MiB while they are decoded: one at a time.
  let longCompletionBudget = BodyBudget(bodiesMax: 1)
  static let longCompletionBytes = 4 << 20

  /// Chunks in one report.
  static let pageMax = 10_000

  func announce(_ request: Request, _ name: SessionName) async throws(ReceiverError) -> Response {
    let body = try await request.decode(AnnouncementBody.self, bytesMax: limits.announcementBytesMax)
    _ = try await vault.announce(try body.announcement(session: name))
    return try await report(name, from: 0, limit: Self.pageMax)
  }

  func report(_ request: Request, _ name: SessionName) async throws(ReceiverError) -> Response {
    let query = request.uri.queryParameters
    guard let from = Int(query["from"] ?? "0"), from >= 0, let limit = Int(query["limit"] ?? "\(Self.pageMax)"),
      limit > 0
    else { throw .badBody("from and limit must be numbers, limit at least 1.") }
    let response = try await report(name, from: from, limit: min(limit, Self.pageMax))
    return request.method == .head ? response.createHeadResponse() : response
  }

  func complete(_ request: Request, _ name: SessionName) async throws(ReceiverError) -> Response {
    let isLong = (request.contentLength ?? .max) > Self.longCompletionBytes
    let budget = isLong ? longCompletionBudget : completionBudget
    try budget.take()
    defer { budget.release() }
    let body = try await request.decode(CompletionBody.self, bytesMax: limits.completionBytesMax)
    let recording = try await vault.complete(try body.completion(session: name))
    return Reply.json(
      CompletedBody(
        sessionId: name.description, size: recording.size, chain: DigestChain.hexadecimal(recording.chain),
        recording: recording.path.location))
  }

  private func report(_ name: SessionName, from: Int, limit: Int) async throws(ReceiverError) -> Response {
    let body: SessionBody?
    do throws(CatalogError) {
      body = try await catalog.snapshot { db in
        guard let record = try SessionRecord.fetch(db, id: name) else { return nil }
        // One more tells whether there is a next page.
        let chunks = try ChunkRecord.fetchPage(db, session: record.number, from: from, limit: limit + 1)
        let size =
          record.isComplete
          ? record.size : try ChunkRecord.contiguousBytes(db, session: record.number, folded: record.folded)
        return SessionBody(
          record, size: size, chunks: Array(chunks.prefix(limit)),
          next: chunks.count > limit ? chunks[limit].index : nil)
      }
    } catch { throw ReceiverError(error) }
    guard let body else { throw .unknownSession }
    return Reply.json(body)
  }
}

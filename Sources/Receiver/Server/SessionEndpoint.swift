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

  let stored: StoredChunks
  private let reading = FileReading()

  /// Chunks in one report.
  static let pageMax = 10_000
  /// Chunks in one report whose bytes are read for it: 64 MiB, so that a slow disk answers within a client's patience.
  static let deepPageMax = 64

  init(vault: Vault, catalog: Catalog, limits: ReceiverConfiguration.Limits, folder: DataFolder) {
    self.vault = vault
    self.catalog = catalog
    self.limits = limits
    stored = StoredChunks(folder: folder, catalog: catalog)
  }

  func announce(_ request: Request, _ name: SessionName) async throws(ReceiverError) -> Response {
    let body = try await request.decode(AnnouncementBody.self, bytesMax: limits.announcementBytesMax)
    _ = try await vault.announce(try body.announcement(session: name))
    return try await report(name, from: 0, limit: Self.pageMax, readsBytes: false)
  }

  func report(_ request: Request, _ name: SessionName) async throws(ReceiverError) -> Response {
    let query = request.uri.queryParameters
    guard let from = Int(query["from"] ?? "0"), from >= 0, let limit = Int(query["limit"] ?? "\(Self.pageMax)"),
      limit > 0
    else { throw .badBody("from and limit must be numbers, limit at least 1.") }
    let depth = query["depth"] ?? "catalog"
    guard depth == "catalog" || depth == "bytes" else { throw .badBody("depth must be catalog or bytes.") }
    let isDeep = depth == "bytes" && request.method != .head
    let response = try await report(
      name, from: from, limit: min(limit, isDeep ? Self.deepPageMax : Self.pageMax), readsBytes: isDeep)
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

  /// One page of a session as the catalog knows it.
  private struct Page: Sendable {
    let session: SessionRecord
    let size: Int64
    let chunks: [ChunkRecord]
    let next: Int?
  }

  private func report(
    _ name: SessionName, from: Int, limit: Int, readsBytes: Bool
  ) async throws(ReceiverError) -> Response {
    guard let page = try await page(name, from: from, limit: limit) else { throw .unknownSession }
    guard readsBytes else {
      return Reply.json(SessionBody(page.session, size: page.size, chunks: page.chunks, next: page.next))
    }
    let stored = self.stored
    return Reply.json(
      try await reading.run { () throws(ReceiverError) in
        var found: [Int: SessionBody.FoundBody] = [:]
        for chunk in page.chunks { found[chunk.index] = .init(try stored.read(page.session, chunk)) }
        var whole: SessionBody.WholeBody?
        // Once a recording: the manifest of a terabyte has 43 MB.
        if from == 0, page.session.isComplete {
          let (size, chain) = try stored.whole(of: page.session)
          whole = SessionBody.WholeBody(size: size, chain: chain.map(DigestChain.hexadecimal))
        }
        return SessionBody(
          page.session, size: page.size, chunks: page.chunks, next: page.next, found: found, whole: whole)
      })
  }

  private func page(_ name: SessionName, from: Int, limit: Int) async throws(ReceiverError) -> Page? {
    do throws(CatalogError) {
      return try await catalog.snapshot { db in
        guard let record = try SessionRecord.fetch(db, id: name) else { return nil }
        // One more tells whether there is a next page.
        let chunks = try ChunkRecord.fetchPage(db, session: record.number, from: from, limit: limit + 1)
        let size =
          record.isComplete
          ? record.size : try ChunkRecord.contiguousBytes(db, session: record.number, folded: record.folded)
        return Page(
          session: record, size: size, chunks: Array(chunks.prefix(limit)),
          next: chunks.count > limit ? chunks[limit].index : nil)
      }
    } catch { throw ReceiverError(error) }
  }
}

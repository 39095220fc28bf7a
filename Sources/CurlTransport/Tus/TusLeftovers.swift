package import UploadCore

/// Parts at a tus server that were joined into a recording and are of no use any more. It blocks; any thread may call it.
package struct TusLeftovers: Sendable {
  private let server: TusServer
  private let requests: TusRequests
  private let client: BlockingClient

  package init(_ server: TusServer, clock: any MonotonicClock, stallTimeout: Span) {
    self.server = server
    requests = TusRequests(server: server, uploadTimeout: stallTimeout)
    client = BlockingClient(caFile: server.caFile, noProxy: server.noProxy, clock: clock, stallTimeout: stallTimeout)
  }

  /// Only recordings that were completed there have such parts.
  package static let factName = TusUpload.Name.final

  /// The addresses of the parts of a recording that is complete at this server as it is now.
  /// - Parameters:
  ///   - facts: what the journal remembers of it.
  ///   - revision: the recording's, synced.
  package func parts(in facts: [String: String], revision: Int64) -> [String] {
    let upload = TusUpload(facts)
    guard let final = upload.final, final.revision == revision else { return [] }
    return [upload.url, upload.head?.url].compactMap { $0 }.filter { $0 != final.url && $0.hasPrefix(origin) }
  }

  /// Uploads of another destination that this state directory once had are none of this one's business.
  private var origin: String {
    let scheme = server.creationURL.prefix { $0 != ":" }
    return scheme + "://" + server.creationURL.dropFirst(scheme.count + 3).prefix { $0 != "/" } + "/"
  }

  /// nil: it is not there (any more).
  package func bytes(of url: String) throws(FetchError) -> Int64? {
    let answer = try client.answer(to: requests.head(url))
    if [403, 404, 410].contains(answer.status) { return nil }
    guard 200...204 ~= answer.status, let offset = answer.headers["upload-offset"].flatMap({ Int64($0) }) else {
      throw FetchError("\(url) answered HEAD with \(answer.status)")
    }
    return offset
  }

  package func terminate(_ url: String) throws(FetchError) {
    let answer = try client.answer(to: requests.terminate(url))
    guard 200...204 ~= answer.status || [404, 410].contains(answer.status) else {
      throw FetchError("\(server.creationURL) answered \(answer.status)")
    }
  }

  /// What the server says of itself. - Throws: nobody answers.
  package func capabilities() throws(FetchError) -> (TusCapabilities?, TransferOutcome) {
    let answer = try client.answer(to: requests.options())
    guard let capabilities = TusCapabilities(answer), capabilities.geometry != nil else {
      return (nil, 200...204 ~= answer.status
        ? .blocked(.configuration, TusOutcomes.notTus(server.creationURL))
        : TusOutcomes.outcome(of: .answered(answer), "OPTIONS", at: server.creationURL))
    }
    return (capabilities, .reachable)
  }
}

package import UploadCore
import UploadProtocol

/// Uploads to any tus 1.0 server, whatever extensions it has (docs/PROTOCOL.md).
///
/// Bytes can only be appended there. With `concatenation` the head of a recording, which recorders rewrite, is an upload
/// of its own that is sent last. A rewritten byte elsewhere starts the upload over.
package struct TusDestination: ConversingDestination {
  package var address: String { server.creationURL }
  let server: TusServer
  let requests: TusRequests
  let memory = Memory()

  /// What is known without asking again; lost with the process. Uploader thread only.
  final class Memory {
    /// nil: not asked yet.
    var capabilities: TusCapabilities?
    /// It refused an upload of deferred length that it had offered.
    var defersInNameOnly = false
    /// Where the next byte goes, by the upload's address: only after an answer that said so.
    var offsets: [String: Int64] = [:]
    /// Bytes that a proxy or server takes in one request; halved by each 413.
    var appendMax = TusCapabilities.runChunksMax * ChunkLayout.chunkBytes
    /// Below, a 413 is about the recording.
    static let appendMin = 64 << 10
    /// Offsets are asked for again beyond so many.
    static let offsetsMax = 10_000

    func know(_ url: String, _ offset: Int64) {
      if offsets.count >= Self.offsetsMax { offsets = [:] }
      offsets[url] = offset
    }
  }

  package init(_ server: TusServer, policy: UploadPolicy) {
    self.server = server
    requests = TusRequests(server: server, uploadTimeout: policy.uploadTimeout)
  }

  package mutating func begin(_ payload: ExchangePayload, bytesPerSecondMax: Int?) -> ConversationStep {
    guard case .exchange(let exchange) = payload else { return probe() }
    guard let capabilities = memory.capabilities else {
      // The scheduler sends nothing before a probe was answered.
      return .end(.unreachable("the server has not said yet what it can do"))
    }
    let work = TusWork(
      exchange: exchange, upload: TusUpload(exchange.remote), capabilities: capabilities, server: server,
      requests: requests, memory: memory, bytesPerSecondMax: bytesPerSecondMax)
    do throws(SourceError) {
      switch exchange.request {
      case .announce: return work.announce()
      case .run(let run): return try work.run(run.chunks)
      case .complete: return try work.complete()
      case .recordings: return .end(.recordingsUntaken)
      case .chunk, .probe: return .end(.unreadable("a tus server takes no single chunks"))
      }
    } catch {
      return .end(error.outcome)
    }
  }

  private func probe() -> ConversationStep {
    server.token.refresh()
    return .send(requests.options()) { [memory, server] result in
      guard case .answered(let answer) = result, 200...204 ~= answer.status else {
        return .end(TusOutcomes.outcome(of: result, "OPTIONS", at: server.creationURL))
      }
      var offered = TusCapabilities(answer)
      if memory.defersInNameOnly { offered?.deny("creation-defer-length") }
      guard let capabilities = offered, let geometry = capabilities.geometry else {
        return .end(.blocked(.configuration, TusOutcomes.notTus(server.creationURL)))
      }
      memory.capabilities = capabilities
      return .discovered(geometry, .reachable)
    }
  }
}

/// One transfer to a tus server.
struct TusWork {
  let exchange: SessionExchange
  let upload: TusUpload
  let capabilities: TusCapabilities
  let server: TusServer
  let requests: TusRequests
  let memory: TusDestination.Memory
  let bytesPerSecondMax: Int?

  /// Chunks that travel with the completion.
  var headChunks: Int { capabilities.joins ? TusCapabilities.headChunks : 0 }
  var chunkCount: Int { ChunkLayout.chunkCount(size: exchange.size) }
  var metadata: String { TusMetadata.text(for: exchange.announcement, device: server.device) }
  /// A closed recording without a tail: one upload of known length.
  var isAllHead: Bool { exchange.isFinished && chunkCount <= headChunks }

  // MARK: Announcing: the upload that bytes are appended to

  func announce() -> ConversationStep {
    if exchange.isSynced, let final = upload.final, capabilities.renames { return rename(final.url) }
    // Without deferred lengths there is nothing to create before the length is known.
    let isTooEarly = !capabilities.defersLength && !exchange.isFinished
    if isAllHead || upload.url != nil || isFinal || isTooEarly {
      return .end(.announced(exchange.announcement.facts))
    }
    return createAppended()
  }

  /// The whole recording has another name now, or other attributes.
  private func rename(_ url: String) -> ConversationStep {
    .send(requests.rename(url, metadata: metadata)) { [server] result in
      // A recording that is not there any more cannot be called anything.
      if case .answered(let answer) = result, [200, 204, 404, 410].contains(answer.status) {
        return .end(.announced(exchange.announcement.facts))
      }
      return .end(TusOutcomes.outcome(of: result, "renaming a recording", at: server.creationURL))
    }
  }

  func createAppended() -> ConversationStep {
    let length: TusRequests.Length = capabilities.defersLength ? .deferred : .known(exchange.size)
    let request = requests.create(
      length, partial: capabilities.joins, metadata: capabilities.joins ? nil : metadata)
    return create(request, "creating an upload") { url in
      var facts = TusUpload.created(url, headChunks: headChunks)
      if case .known(let bytes) = length { facts.append(TusUpload.length(bytes)) }
      return .end(.advanced(facts))
    }
  }

  /// The recording is complete there as it is now.
  var isFinal: Bool { upload.final?.revision == exchange.revision }

  func create(
    _ request: HTTPRequest, _ what: String, then: @escaping (String) -> ConversationStep
  ) -> ConversationStep {
    .send(request) { [memory, server] result in
      guard case .answered(let answer) = result, answer.status == 201 else {
        return .end(TusOutcomes.outcome(of: result, what, at: server.creationURL))
      }
      guard let location = answer.location, !location.isEmpty else {
        return .end(.blocked(.configuration, "\(server.creationURL) creates uploads without saying where"))
      }
      let url = server.resolve(location)
      memory.know(url, answer.headers["upload-offset"].flatMap { Int64($0) } ?? 0)
      return then(url)
    }
  }

  // MARK: What is of no use any more

  /// Everything from the head on is sent again, to a new upload.
  func restart(_ words: String) -> ConversationStep {
    let over = ConversationStep.end(.rolledBack(to: upload.headChunks, TusUpload.forgotten))
    guard let url = upload.url else { return over }
    memory.offsets[url] = nil
    // Completed ones stay, whatever they have become since: they are somebody's recording.
    guard capabilities.terminates, upload.length == nil || capabilities.joins else { return over }
    return .send(requests.terminate(url)) { _ in over }
  }
}

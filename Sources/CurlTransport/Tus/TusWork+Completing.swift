import UploadCore
import UploadProtocol

// Making the recording whole.
extension TusWork {
  func complete() throws(SourceError) -> ConversationStep {
    guard exchange.isFinished else { throw SourceError(.stale) }
    if isFinal { return .end(.completed(revision: exchange.revision)) }
    if isAllHead { return try sendHead(partial: false) { url, chunks in finished(url, chunks) } }
    guard let url = upload.url else { return restart("it has no upload") }
    guard upload.headChunks == headChunks else { return otherHead() }
    guard upload.appended >= chunkCount else {
      return .end(.rolledBack(to: max(upload.appended, headChunks), []))
    }
    if let length = upload.length, length != neededLength { return restart("its length has changed") }
    return declareLength(of: url) {
      guard headChunks > 0 else { return finished(url, []) }
      do throws(SourceError) {
        return try sendHead(partial: true) { head, chunks in join(head, url, chunks) }
      } catch {
        return .end(error.outcome)
      }
    }
  }

  /// An empty PATCH that says how long the upload is: also right for an exact multiple of the chunk size.
  private func declareLength(of url: String, then: @escaping () -> ConversationStep) -> ConversationStep {
    if upload.length != nil { return verify(url, then: then) }
    // Until its answer is there, nobody knows how long the upload is.
    memory.offsets[url] = nil
    return .send(
      requests.append([], to: url, at: neededLength, length: neededLength, checksum: nil, bytesPerSecondMax: nil)
    ) { result in
      guard case .answered(let answer) = result else { return missing(result, "PATCH") }
      if [400, 409].contains(answer.status) { return whyNotDeclared(url, answer) }
      guard [200, 204].contains(answer.status) else { return missing(result, "PATCH") }
      return .end(.advanced([TusUpload.length(neededLength)]))
    }
  }

  /// The recording was cut since it was appended, the server lost its end, or an earlier answer to the same was lost.
  private func whyNotDeclared(_ url: String, _ refusal: HTTPAnswer) -> ConversationStep {
    memory.offsets[url] = nil
    return .send(requests.head(url)) { [server] result in
      guard case .answered(let answer) = result, 200...204 ~= answer.status,
        let offset = answer.headers["upload-offset"].flatMap({ Int64($0) })
      else { return missing(result, "HEAD") }
      if offset < neededLength { return lost(to: offset) }
      if offset > neededLength { return restart("the recording has been cut") }
      if answer.headers["upload-length"].flatMap({ Int64($0) }) == neededLength {
        return .end(.advanced([TusUpload.length(neededLength)]))
      }
      if refusal.status == 400, refusal.words?.contains("Upload-Length") == true {
        return .end(.rejected("\(server.creationURL) does not really support uploads of deferred length: \(refusal.words ?? "")"))
      }
      return .end(TusOutcomes.outcome(of: .answered(refusal), "PATCH", at: server.creationURL))
    }
  }

  /// What the server says it has, before anything rests on it.
  private func verify(_ url: String, then: @escaping () -> ConversationStep) -> ConversationStep {
    memory.offsets[url] = nil
    return offset(of: url) { offset in
      offset == neededLength ? then() : restart("the server has \(offset) bytes of \(neededLength)")
    }
  }

  /// Sends the head (or the whole of a small recording) as an upload of its own.
  private func sendHead(
    partial: Bool, then: @escaping (String, [StoredChunk]) -> ConversationStep
  ) throws(SourceError) -> ConversationStep {
    let snapshot = chunkCount == 0
      ? RunSnapshot(chunks: [], bytes: []) : try exchange.read(0..<min(chunkCount, max(headChunks, 1)))
    let versions = snapshot.chunks.map(\.version.number)
    guard let head = partial ? upload.head : upload.whole, head.versions == versions else {
      let request = requests.create(
        .known(Int64(snapshot.bytes.count)), partial: partial, metadata: partial ? nil : metadata)
      return create(request, "creating an upload") { url in
        let part = TusUpload.Part(versions: versions, url: url)
        return .end(.advanced([partial ? TusUpload.head(part) : TusUpload.whole(part)]))
      }
    }
    let lost = RemoteFact(partial ? TusUpload.Name.head : TusUpload.Name.whole, nil)
    return offset(of: head.url, lost: [lost]) { offset in
      append(snapshot.bytes, from: Int(clamping: offset), to: head.url, startingAt: 0) { then(head.url, snapshot.chunks) }
    }
  }

  /// As `offset(of:)`, for an upload whose loss costs nothing but itself.
  private func offset(
    of url: String, lost: [RemoteFact], then: @escaping (Int64) -> ConversationStep
  ) -> ConversationStep {
    .send(requests.head(url)) { [server] result in
      guard case .answered(let answer) = result, 200...204 ~= answer.status,
        let offset = answer.headers["upload-offset"].flatMap({ Int64($0) })
      else {
        if case .answered(let answer) = result, [403, 404, 410].contains(answer.status) { return .end(.advanced(lost)) }
        return .end(TusOutcomes.outcome(of: result, "HEAD", at: server.creationURL))
      }
      return then(offset)
    }
  }

  private func join(_ head: String, _ tail: String, _ chunks: [StoredChunk]) -> ConversationStep {
    .send(requests.join([head, tail], metadata: metadata)) { [server] result in
      guard case .answered(let answer) = result else { return missing(result, "joining") }
      switch answer.status {
      case 201:
        guard let url = answer.location.map(server.resolve) else { return finished(head, chunks) }
        return verifyWhole(url, chunks)
      case 400, 403, 404, 410:
        // A part is gone, or was never whole: both are made anew.
        return .end(.rolledBack(to: upload.headChunks, TusUpload.forgotten))
      default: return missing(result, "joining")
      }
    }
  }

  /// A server that was killed within a request may have kept more bytes than it says, and goes on behind them (tuspyserver 4
  /// does): only what is as long as the recording can be the recording.
  private func verifyWhole(_ url: String, _ chunks: [StoredChunk]) -> ConversationStep {
    .send(requests.head(url)) { [server] result in
      guard case .answered(let answer) = result, answer.status < 500 else {
        return .end(TusOutcomes.outcome(of: result, "HEAD", at: server.creationURL))
      }
      let length = answer.headers["upload-length"].flatMap { Int64($0) }
      guard 200...204 ~= answer.status, let length, length != exchange.size else { return finished(url, chunks) }
      let again = restart("what was joined there has \(length) bytes, the recording \(exchange.size)")
      guard capabilities.terminates else { return again }
      return .send(requests.terminate(url)) { _ in again }
    }
  }

  private func finished(_ url: String, _ chunks: [StoredChunk]) -> ConversationStep {
    .end(.runStored(chunks, [TusUpload.final(TusUpload.Final(revision: exchange.revision, url: url))]))
  }
}

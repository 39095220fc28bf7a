import UploadCore
import UploadProtocol

// Making the recording whole.
extension TusClient {
  func complete() throws(SourceError) -> ExchangeStep {
    guard exchange.isFinished else { throw SourceError(.stale) }
    if isFinal { return .end(.completed(revision: exchange.revision)) }
    if isAllHead { return try sendHead(isPartial: false) { url, chunks in finished(url, chunks) } }
    guard let url = upload.url else { return restart() }
    guard upload.headChunks == headChunks else { return otherHead() }
    guard upload.appended >= exchange.chunkCount else {
      return .end(.rolledBack(to: max(upload.appended, headChunks), []))
    }
    if let length = upload.length, length != neededLength { return restart() }
    return declareLength(of: url) {
      guard headChunks > 0 else { return finished(url, []) }
      do throws(SourceError) {
        return try sendHead(isPartial: true) { head, chunks in join(head, url, chunks) }
      } catch {
        return .end(error.outcome)
      }
    }
  }

  private func declareLength(of url: Int, then: @escaping () -> ExchangeStep) -> ExchangeStep {
    if upload.length != nil { return verify(url, then: then) }
    process.offsets[url] = nil
    let nothing = SimulatedTusServer.Bytes(first: 0, digests: [], range: 0..<0)
    return .send(.tus(.append(url, at: neededLength, nothing, length: neededLength))) { answer in
      if case .refused(.wrongOffset) = answer { return whyNotDeclared(url, answer) }
      guard case .offset = answer else { return missing(answer) }
      return .end(.advanced([TusMemory.length(neededLength)]))
    }
  }

  private func whyNotDeclared(_ url: Int, _ refusal: ServerAnswer) -> ExchangeStep {
    process.offsets[url] = nil
    return .send(.tus(.head(url))) { answer in
      guard case .found(let offset, _) = answer else { return missing(answer) }
      if offset < neededLength { return lost(to: offset) }
      return offset > neededLength ? restart() : .end(refusal.outcome)
    }
  }

  private func verify(_ url: Int, then: @escaping () -> ExchangeStep) -> ExchangeStep {
    .send(.tus(.head(url))) { answer in
      guard case .found(let offset, _) = answer else { return missing(answer) }
      process.offsets[url] = offset
      return offset == neededLength ? then() : restart()
    }
  }

  /// Sends the head (or the whole of a small recording) as an upload of its own.
  private func sendHead(
    isPartial: Bool, then: @escaping (Int, [StoredChunk]) -> ExchangeStep
  ) throws(SourceError) -> ExchangeStep {
    let count = min(exchange.chunkCount, max(headChunks, 1))
    let chunks = exchange.chunkCount == 0 ? [] : try exchange.read(0..<count)
    let versions = chunks.map(\.version.number)
    guard let head = isPartial ? upload.head : upload.whole, head.versions == versions else {
      let bytes = chunks.reduce(0) { $0 + Int64(SimulatedFile.byteCount(of: $1.digest)) }
      return create(length: bytes, isPartial: isPartial) { url in
        let part = TusMemory.Part(versions: versions, url: url)
        return .end(.advanced([isPartial ? TusMemory.head(part) : TusMemory.whole(part)]))
      }
    }
    return .send(.tus(.head(head.url))) { answer in
      switch answer {
      case .found(let offset, _): return append(chunks, to: head.url, at: offset, from: 0) { then(head.url, chunks) }
      case .refused(.uploadGone):
        return .end(.advanced([RemoteFact(isPartial ? TusMemory.Name.head : TusMemory.Name.whole, nil)]))
      default: return .end(answer.outcome)
      }
    }
  }

  private func join(_ head: Int, _ tail: Int, _ chunks: [StoredChunk]) -> ExchangeStep {
    .send(.tus(.join(exchange.session, [head, tail]))) { answer in
      guard case .upload(let url) = answer else { return missing(answer) }
      return finished(url, chunks)
    }
  }

  private func finished(_ url: Int, _ chunks: [StoredChunk]) -> ExchangeStep {
    .end(.runStored(chunks, [TusMemory.final(TusMemory.Final(revision: exchange.revision, url: url))]))
  }
}

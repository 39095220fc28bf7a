import UploadCore
import UploadProtocol

/// One transfer to a store, step by step as `S3Work` does it (Sources/CurlTransport/S3): the same facts in the journal, the
/// same outcomes for the same answers.
struct StoreClient {
  let exchange: SimulatedExchange
  let memory: StoreMemory
  let layout: PartLayout
  let wholeChunksMax: Int

  init(_ exchange: SimulatedExchange, _ layout: PartLayout, wholeChunksMax: Int) {
    self.exchange = exchange
    memory = StoreMemory(exchange.remote)
    self.layout = layout
    self.wholeChunksMax = wholeChunksMax
  }

  var key: [UInt8] { exchange.facts.path }
  private var isWhole: Bool { memory.upload == nil && exchange.isFinished && exchange.chunkCount <= wholeChunksMax }
  private var isComplete: Bool { memory.object?.revision == exchange.revision && memory.object?.key == key }

  func begin() -> ExchangeStep {
    do throws(SourceError) {
      switch exchange.request {
      case .announce: return announce()
      case .run(let run): return try self.run(run.chunks)
      case .complete: return try complete()
      case .chunk, .recordings, .probe: preconditionFailure("a store takes no single chunks")
      }
    } catch {
      return .end(error.outcome)
    }
  }

  // MARK: Announcing

  private func announce() -> ExchangeStep {
    let announced = ExchangeStep.end(.announced(exchange.facts))
    if let upload = memory.upload {
      guard upload.key != key else { return announced }
      return .send(.store(.abortUpload(upload.id))) { answer in
        if case .failed(let outcome) = answer { .end(outcome) } else { lost }
      }
    }
    if exchange.isSynced {
      if memory.object?.key == key { return announced }
      return .end(.rolledBack(to: exchange.chunkCount, []))
    }
    if isWhole || isComplete { return announced }
    return .send(.store(.createUpload(key: key, exchange.session))) { answer in
      guard case .upload(let id) = answer else { return .end(answer.outcome) }
      return .end(.advanced([StoreMemory.fact(StoreMemory.Upload(id: id, key: key))]))
    }
  }

  private var lost: ExchangeStep { .end(.rolledBack(to: 0, memory.forgotten)) }

  // MARK: Parts

  private func run(_ run: Range<Int>) throws(SourceError) -> ExchangeStep {
    guard let upload = memory.upload, upload.key == key else { return .end(.sessionUnknown) }
    let number = layout.part(of: run.lowerBound) + 1
    let chunks = try exchange.read(run)
    let part = SimulatedStore.Part(first: run.lowerBound, digests: chunks.map(\.digest))
    return .send(.store(.uploadPart(number, upload: upload.id, part))) { answer in
      if case .refused(.uploadGone) = answer { return lost }
      guard case .etag(let etag) = answer else { return .end(answer.outcome) }
      let fact = StoreMemory.Part(
        upload: upload.id, etag: etag, signature: StoreMemory.signature(chunks.map { ($0.index, $0.version) }))
      return .end(.runStored(chunks, [StoreMemory.fact(number, fact)]))
    }
  }

  private func putWhole() throws(SourceError) -> ExchangeStep {
    let chunks = exchange.chunkCount == 0 ? [] : try exchange.read(0..<exchange.chunkCount)
    let part = SimulatedStore.Part(first: 0, digests: chunks.map(\.digest))
    guard Int64(part.bytes) == exchange.size else { throw SourceError(.stale) }
    return .send(.store(.putObject(key: key, exchange.session, part))) { answer in
      guard case .etag(let etag) = answer else { return .end(answer.outcome) }
      let fact = StoreMemory.Part(
        upload: StoreMemory.whole, etag: etag, signature: StoreMemory.signature(chunks.map { ($0.index, $0.version) }))
      return .end(.runStored(chunks, [StoreMemory.fact(1, fact), object(etag, StoreMemory.whole)]))
    }
  }

  private func object(_ etag: UInt64, _ upload: Int) -> RemoteFact {
    StoreMemory.fact(
      StoreMemory.Object(revision: exchange.revision, size: exchange.size, etag: etag, upload: upload, key: key))
  }

  // MARK: Putting the object together

  private func complete() throws(SourceError) -> ExchangeStep {
    guard exchange.isFinished else { throw SourceError(.stale) }
    if isComplete { return .end(.completed(revision: exchange.revision)) }
    if isWhole { return try putWhole() }
    guard let upload = memory.upload, upload.key == key else { return .end(.sessionUnknown) }
    guard exchange.chunkCount > 0 else {
      return .send(.store(.abortUpload(upload.id))) { answer in
        if case .failed(let outcome) = answer { .end(outcome) } else { .end(.advanced(memory.forgotten)) }
      }
    }
    return try complete(upload, parts: layout.part(of: exchange.chunkCount - 1) + 1)
  }

  private func complete(_ upload: StoreMemory.Upload, parts count: Int) throws(SourceError) -> ExchangeStep {
    var parts: [(number: Int, etag: UInt64)] = []
    var copies: [(number: Int, signature: String)] = []
    var missing: [Int] = []
    for number in 1...count {
      let chunks = layout.chunks(ofPart: number - 1).clamped(to: 0..<exchange.chunkCount)
      let signature = StoreMemory.signature(try exchange.wholeRows(chunks).map { ($0.index, $0.version) })
      let known = memory.parts[number]
      if let known, known.upload == upload.id, known.signature == signature {
        parts.append((number, known.etag))
      } else if let known, let object = memory.object, known.upload == object.upload, known.signature == signature {
        copies.append((number, signature))
      } else {
        missing += chunks
      }
    }
    if !missing.isEmpty { return .end(.incomplete(missing: missing)) }
    if !copies.isEmpty { return copy(copies.prefix(16), into: upload, []) }
    return finish(upload, parts)
  }

  private func copy(
    _ copies: ArraySlice<(number: Int, signature: String)>, into upload: StoreMemory.Upload, _ facts: [RemoteFact]
  ) -> ExchangeStep {
    guard let next = copies.first, let object = memory.object else { return .end(.advanced(facts)) }
    let chunks = layout.chunks(ofPart: next.number - 1).clamped(to: 0..<exchange.chunkCount)
    let request = StoreRequest.copyPart(
      next.number, upload: upload.id, from: object.key, chunks: chunks, ifMatch: object.etag)
    return .send(.store(request)) { answer in
      switch answer {
      case .etag(let etag):
        let fact = StoreMemory.Part(upload: upload.id, etag: etag, signature: next.signature)
        return copy(copies.dropFirst(), into: upload, facts + [StoreMemory.fact(next.number, fact)])
      case .refused(.uploadGone): return lost
      case .refused(.objectMissing), .refused(.objectChanged):
        var known = object
        known.upload = StoreMemory.notCopied
        return .end(.rolledBack(to: 0, memory.forgotten + [StoreMemory.fact(known)]))
      default: return .end(answer.outcome)
      }
    }
  }

  private func finish(_ upload: StoreMemory.Upload, _ parts: [(number: Int, etag: UInt64)]) -> ExchangeStep {
    func finished(_ etag: UInt64) -> ExchangeStep {
      .end(.advanced([RemoteFact(StoreMemory.Name.upload, nil), object(etag, upload.id)]))
    }
    return .send(.store(.completeUpload(upload.id, parts))) { answer in
      switch answer {
      case .etag(let etag): return finished(etag)
      case .refused(.uploadGone): return look(SimulatedStore.etag(ofParts: parts.map(\.etag)), finished)
      case .refused(.partsDisagree): return lost
      default: return .end(answer.outcome)
      }
    }
  }

  /// An earlier completion may have succeeded and its answer been lost: the object itself tells.
  private func look(_ expected: UInt64, _ finished: @escaping (UInt64) -> ExchangeStep) -> ExchangeStep {
    .send(.store(.headObject(key: key))) { answer in
      switch answer {
      case .object(let etag, let size): return etag == expected && size == exchange.size ? finished(etag) : lost
      case .refused(.objectMissing): return lost
      default: return .end(answer.outcome)
      }
    }
  }
}

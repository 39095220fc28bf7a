import UploadCore
import UploadProtocol

/// One transfer to a tus server, step by step as `TusWork` does it (Sources/CurlTransport/Tus): the same facts in the
/// journal, the same outcomes for the same answers.
struct TusClient {
  let exchange: SimulatedExchange
  let upload: TusMemory
  let process: TusProcess

  init(_ exchange: SimulatedExchange, _ process: TusProcess) {
    self.exchange = exchange
    upload = TusMemory(exchange.remote)
    self.process = process
  }

  var joins: Bool { process.joins }
  /// Chunks that travel with the completion.
  var headChunks: Int { joins ? process.headChunks : 0 }
  var isAllHead: Bool { exchange.isFinished && exchange.chunkCount <= headChunks }
  var isFinal: Bool { upload.final?.revision == exchange.revision }
  /// What the appended upload is long in the end.
  var neededLength: Int64 { max(0, exchange.size - start(of: upload.headChunks, from: 0)) }

  func begin() -> ExchangeStep {
    do throws(SourceError) {
      switch exchange.request {
      case .announce: return announce()
      case .run(let run): return try self.run(run.chunks)
      case .complete: return try complete()
      case .chunk, .recordings, .probe: preconditionFailure("a tus server takes no single chunks")
      }
    } catch {
      return .end(error.outcome)
    }
  }

  private func announce() -> ExchangeStep {
    let isTooEarly = !process.defersLength && !exchange.isFinished
    if isAllHead || upload.url != nil || isFinal || isTooEarly { return .end(.announced(exchange.facts)) }
    return createAppended()
  }

  private func createAppended() -> ExchangeStep {
    let length = process.defersLength ? nil : exchange.size
    return create(length: length, isPartial: joins) { url in
      var facts = TusMemory.created(url, headChunks: headChunks)
      if let length { facts.append(TusMemory.length(length)) }
      return .end(.advanced(facts))
    }
  }

  func create(length: Int64?, isPartial: Bool, then: @escaping (Int) -> ExchangeStep) -> ExchangeStep {
    .send(.tus(.create(exchange.session, length: length, isPartial: isPartial))) { answer in
      guard case .upload(let url) = answer else { return .end(answer.outcome) }
      process.offsets[url] = 0
      return then(url)
    }
  }

  /// Everything from the head on is sent again, to a new upload.
  func restart() -> ExchangeStep {
    let over = ExchangeStep.end(.rolledBack(to: upload.headChunks, TusMemory.forgotten))
    guard let url = upload.url else { return over }
    process.offsets[url] = nil
    guard process.terminates, upload.length == nil || joins else { return over }
    return .send(.tus(.terminate(url))) { _ in over }
  }

  // MARK: Appending

  private func run(_ run: Range<Int>) throws(SourceError) -> ExchangeStep {
    guard let url = upload.url else { return createAppended() }
    guard upload.headChunks == headChunks else { return otherHead() }
    guard run.lowerBound == upload.appended else { return restart() }
    if let length = upload.length, length != neededLength { return restart() }
    let versions = try exchange.wholeRows(run).map(\.version.number)
    let begun = upload.begun.start == run.lowerBound ? upload.begun.versions : []
    let isBegun = !begun.isEmpty && begun.count <= versions.count && Array(versions.prefix(begun.count)) == begun
    return offset(of: url) { offset in
      let inside = offset - start(of: run.lowerBound, from: upload.headChunks)
      if inside < 0 { return lost(to: offset) }
      if inside == 0, !isBegun {
        return .end(.advanced([TusMemory.begun(TusMemory.Begun(start: run.lowerBound, versions: versions))]))
      }
      guard isBegun, inside <= Int64(begun.count * ChunkLayout.chunkBytes) else { return restart() }
      return send(run.lowerBound..<run.lowerBound + begun.count, to: url, at: offset)
    }
  }

  func start(of index: Int, from first: Int) -> Int64 { Int64(index - first) * Int64(ChunkLayout.chunkBytes) }

  private func send(_ run: Range<Int>, to url: Int, at offset: Int64) -> ExchangeStep {
    do throws(SourceError) {
      let chunks = try exchange.read(run)
      guard chunks.map(\.version.number) == upload.begun.versions else { throw SourceError(.stale) }
      return append(chunks, to: url, at: offset, from: upload.headChunks) {
        .end(.runStored(chunks, [TusMemory.appended(run.upperBound)]))
      }
    } catch {
      return .end(error.outcome)
    }
  }

  /// The server has lost bytes that it had acknowledged.
  func lost(to offset: Int64) -> ExchangeStep {
    let index = upload.headChunks + Int(offset / Int64(ChunkLayout.chunkBytes))
    var facts = [TusMemory.appended(index)]
    do throws(SourceError) {
      guard let row = try exchange.rows(index..<index + 1).first, row.state == .stored else { return restart() }
      facts.append(TusMemory.begun(TusMemory.Begun(start: index, versions: [row.version.number])))
    } catch {
      return .end(error.outcome)
    }
    return .end(.rolledBack(to: index, facts))
  }

  private func offset(of url: Int, then: @escaping (Int64) -> ExchangeStep) -> ExchangeStep {
    if let known = process.offsets[url] { return then(known) }
    return .send(.tus(.head(url))) { answer in
      guard case .found(let offset, let length) = answer else { return missing(answer) }
      if upload.length == nil, offset > 0, length == offset { return .end(.advanced([TusMemory.length(offset)])) }
      process.offsets[url] = offset
      return then(offset)
    }
  }

  /// Appends what `chunks` have from `offset` of the upload on; in several requests where the server takes only a part.
  /// - Parameter first: the chunk at the upload's start.
  func append(
    _ chunks: [StoredChunk], to url: Int, at offset: Int64, from first: Int, requests count: Int = 0,
    then: @escaping () -> ExchangeStep
  ) -> ExchangeStep {
    let begin = offset + start(of: first, from: 0)
    let low = chunks.first.map { start(of: $0.index, from: 0) } ?? 0
    let end = low + chunks.reduce(0) { $0 + Int64(SimulatedFile.byteCount(of: $1.digest)) }
    guard begin < end else { return then() }
    guard count < 24 else { return .end(.advanced([])) }
    process.offsets[url] = nil
    let bytes = SimulatedTusServer.Bytes(first: chunks[0].index, digests: chunks.map(\.digest), range: begin..<end)
    return .send(.tus(.append(url, at: offset, bytes, length: nil))) { answer in
      switch answer {
      case .offset(let now) where now > offset:
        process.offsets[url] = now
        return append(chunks, to: url, at: now, from: first, requests: count + 1, then: then)
      case .refused(.lengthWanted): return cannotDefer()
      default: return missing(answer)
      }
    }
  }

  /// It offers uploads of deferred length, and wants the length with the first byte: recordings wait for their close.
  private func cannotDefer() -> ExchangeStep { withoutDeferring(.rolledBack(to: upload.headChunks, TusMemory.forgotten)) }

  func otherHead() -> ExchangeStep {
    upload.headChunks == 0 && upload.length == neededLength ? withoutDeferring(.advanced([])) : restart()
  }

  private func withoutDeferring(_ outcome: TransferOutcome) -> ExchangeStep {
    process.defersInNameOnly = true
    return .discovered(process.geometry, outcome)
  }

  /// The upload is gone: its bytes are sent again. Everything else is a usual answer.
  func missing(_ answer: ServerAnswer) -> ExchangeStep {
    if case .refused(.uploadGone) = answer { return .end(.rolledBack(to: upload.headChunks, TusMemory.forgotten)) }
    return .end(answer.outcome)
  }
}

import S3Protocol
import UploadCore
import UploadProtocol

/// One transfer to an S3 store.
struct S3Work {
  let exchange: SessionExchange
  let memory: S3Memory
  let key: S3Key
  let store: S3Store
  let caller: S3Caller
  let uploadTimeout: Span
  let bytesPerSecondMax: Int?

  var chunkCount: Int { ChunkLayout.chunkCount(size: exchange.size) }

  /// - Parameter isLong: the server is silent while it works: five times the patience, as for completing elsewhere.
  func call(isLong: Bool = false, refused: @escaping (S3Refusal) -> ConversationStep? = { _ in nil }) -> S3Call {
    S3Call(
      caller: caller, address: store.location.description,
      stallTimeout: isLong ? Span(nanoseconds: uploadTimeout.nanoseconds * 5) : uploadTimeout,
      bytesPerSecondMax: bytesPerSecondMax, refused: refused)
  }

  var heartbeat: Span { Span(nanoseconds: uploadTimeout.nanoseconds / 4) }

  /// One PUT of the whole object.
  var isWhole: Bool { memory.upload == nil && exchange.isFinished && store.plan.upload(ofSize: exchange.size) == .object }

  /// The object is the recording as it is now.
  var isComplete: Bool { memory.object?.revision == exchange.revision && memory.object?.key == key }

  private var metadata: S3Metadata { S3Metadata(attributes: exchange.announcement.metadata) }

  // MARK: Announcing: the multipart upload

  func announce() -> ConversationStep {
    if let (upload, plan) = memory.upload {
      if upload.key == key, plan == store.planName { return announced }
      // Renamed while it was recorded, or the parts are cut otherwise: an upload belongs to one key.
      return abandon(upload)
    }
    if exchange.isSynced {
      // New attributes go along with the next upload.
      if memory.object?.key == key { return announced }
      // An object cannot be renamed: nothing that is stored is lost, but the recording is to be put together anew, from it.
      return .end(.rolledBack(to: chunkCount, []))
    }
    if isWhole || isComplete { return announced }
    return call().send(.createUpload(key, metadata: metadata)) { answer, reader throws(S3Refusal) in
      let upload = try reader.createdUpload(answer, of: key)
      return .end(.advanced([S3Memory.fact(upload, plan: store.planName)]))
    }
  }

  private var announced: ConversationStep { .end(.announced(exchange.announcement.facts)) }

  private func abandon(_ upload: S3Upload) -> ConversationStep {
    let over = lost
    return call(refused: { _ in over }).send(.abortUpload(upload)) { _, _ in over }
  }

  /// What was sent of the upload under way is gone.
  var lost: ConversationStep { .end(.rolledBack(to: 0, memory.forgotten)) }

  // MARK: Parts

  func run(_ run: Range<Int>) throws(SourceError) -> ConversationStep {
    // A completed recording that changed: a new upload first. What is stored stays stored, it will be copied.
    guard let (upload, plan) = memory.upload, plan == store.planName, upload.key == key else {
      return .end(.sessionUnknown)
    }
    guard let number = store.plan.part(ofChunk: run.lowerBound) else {
      return .end(.rejected("the recording is longer than \(PartPlan.partCountMax) parts of this plan hold"))
    }
    let snapshot = try exchange.read(run)
    let content = Self.content(snapshot.bytes)
    let signature = S3Memory.signature(snapshot.chunks.map { ($0.index, $0.version) })
    return call(refused: { refusal in refusal.meaning == .uploadGone ? lost : nil }).send(
      .uploadPart(number, of: upload, content), content: [snapshot.bytes]
    ) { answer, reader throws(S3Refusal) in
      let part = try reader.uploadedPart(answer, number: number)
      if S3ETag.isSame(part.etag, as: content) == false {
        return .end(.corrupted("the store holds other bytes of part \(number) than were sent"))
      }
      let fact = S3Memory.Part(upload: S3Memory.tag(upload), etag: part.etag, signature: signature)
      return .end(.runStored(snapshot.chunks, [S3Memory.fact(number, fact)]))
    }
  }

  static func content(_ bytes: [UInt8]) -> S3Content {
    var digester = S3ContentDigester()
    digester.update(bytes)
    return digester.finished()
  }

  // MARK: Small recordings

  func putWhole() throws(SourceError) -> ConversationStep {
    let snapshot = chunkCount == 0 ? RunSnapshot(chunks: [], bytes: []) : try exchange.read(0..<chunkCount)
    guard Int64(snapshot.bytes.count) == exchange.size else { throw SourceError(.stale) }
    let content = Self.content(snapshot.bytes)
    return call().send(.putObject(key, content, metadata: metadata), content: [snapshot.bytes]) { answer, reader throws(S3Refusal) in
      let etag = try reader.putObject(answer) ?? ""
      if S3ETag.isSame(etag, as: content) == false {
        return .end(.corrupted("the store holds other bytes of the recording than were sent"))
      }
      let part = S3Memory.Part(
        upload: S3Memory.whole, etag: etag.isEmpty ? "-" : etag,
        signature: S3Memory.signature(snapshot.chunks.map { ($0.index, $0.version) }))
      return .end(.runStored(snapshot.chunks, [S3Memory.fact(1, part), object(etag: etag, upload: S3Memory.whole)]))
    }
  }

  func object(etag: String, upload: String) -> RemoteFact {
    S3Memory.fact(
      S3Memory.Object(
        revision: exchange.revision, size: exchange.size, etag: etag, upload: upload, plan: store.planName, key: key))
  }
}

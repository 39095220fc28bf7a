import S3Protocol
import UploadCore
import UploadProtocol

// Putting the object together.
extension S3Work {
  /// Parts copied within one transfer; the rest in the next.
  private static var copiesMax: Int { 16 }

  func complete() throws(SourceError) -> ConversationStep {
    guard exchange.isFinished else { throw SourceError(.stale) }
    if isComplete { return .end(.completed(revision: exchange.revision)) }
    if isWhole { return try putWhole() }
    guard let (upload, plan) = memory.upload, plan == store.planName, upload.key == key else {
      return .end(.sessionUnknown)
    }
    guard case .parts(let count)? = store.plan.upload(ofSize: exchange.size) else { return try onePart(of: upload) }
    return try complete(upload, parts: count)
  }

  /// The recording has shrunk to one part since the upload was begun.
  private func onePart(of upload: S3Upload) throws(SourceError) -> ConversationStep {
    // A multipart upload without a part cannot be completed.
    guard chunkCount > 0 else { return abortThenPut(upload) }
    return try complete(upload, parts: 1)
  }

  private func abortThenPut(_ upload: S3Upload) -> ConversationStep {
    let over = ConversationStep.end(.advanced(memory.forgotten))
    return call(refused: { _ in over }).send(.abortUpload(upload)) { _, _ in over }
  }

  private func complete(_ upload: S3Upload, parts count: Int) throws(SourceError) -> ConversationStep {
    let tag = S3Memory.tag(upload)
    var parts: [S3Part] = []
    var copies: [(number: Int, signature: String)] = []
    var missing: [Int] = []
    for number in 1...count {
      let chunks = store.plan.chunks(ofPart: number).clamped(to: 0..<chunkCount)
      let rows = try exchange.rows(chunks)
      guard rows.count == chunks.count, rows.allSatisfy({ $0.state != .open }) else { throw SourceError(.stale) }
      let signature = S3Memory.signature(rows.map { ($0.index, $0.version) })
      let known = memory.parts[number]
      if let known, known.upload == tag, known.signature == signature {
        parts.append(S3Part(number: number, etag: known.etag))
      } else if let known, canCopy(known, signature) {
        copies.append((number, signature))
      } else {
        missing += chunks
      }
    }
    if !missing.isEmpty { return .end(.incomplete(missing: Array(missing.prefix(Self.missingMax)))) }
    if !copies.isEmpty { return copy(copies.prefix(Self.copiesMax), into: upload, []) }
    return finish(upload, parts)
  }

  /// Named in one answer, as our receiver does.
  private static var missingMax: Int { 10_000 }

  private func canCopy(_ part: S3Memory.Part, _ signature: String) -> Bool {
    guard let object = memory.object, part.upload == object.upload, object.plan == store.planName else { return false }
    return part.signature == signature
  }

  /// Takes unchanged parts over from the object as it was completed before.
  private func copy(
    _ copies: ArraySlice<(number: Int, signature: String)>, into upload: S3Upload, _ facts: [RemoteFact]
  ) -> ConversationStep {
    guard let next = copies.first, let object = memory.object else { return .end(.advanced(facts)) }
    let bytes = store.plan.bytes(ofPart: next.number, size: exchange.size)
    let request = S3Request.copyPart(
      next.number, of: upload, from: object.key, in: store.location.bucket, range: bytes,
      ifMatch: object.etag.isEmpty ? nil : object.etag)
    return call(isLong: true, refused: { cannotCopy($0) }).send(request, heartbeat: heartbeat) { answer, reader throws(S3Refusal) in
      let part = try reader.copiedPart(answer, number: next.number)
      let fact = S3Memory.Part(upload: S3Memory.tag(upload), etag: part.etag, signature: next.signature)
      return copy(copies.dropFirst(), into: upload, facts + [S3Memory.fact(next.number, fact)])
    }
  }

  /// The object is gone or another one, or the store does not copy: everything that is here is sent again. Its key stays
  /// known: what was completed there later, unknown to the journal, is still where evicted bytes are fetched from.
  private func cannotCopy(_ refusal: S3Refusal) -> ConversationStep? {
    switch refusal.meaning {
    case .uploadGone: return lost
    case .unsupported, .objectMissing, .objectChanged:
      guard var object = memory.object else { return lost }
      object.plan = S3Memory.notCopied
      return .end(.rolledBack(to: 0, memory.forgotten + [S3Memory.fact(object)]))
    default: return nil
    }
  }

  private func finish(_ upload: S3Upload, _ parts: [S3Part]) -> ConversationStep {
    let expected = S3ETag.ofObject(parts: parts)
    func finished(_ etag: String) -> ConversationStep {
      .end(.advanced([RemoteFact(S3Memory.Name.upload, nil), object(etag: etag, upload: S3Memory.tag(upload))]))
    }
    return call(
      isLong: true,
      refused: { refusal in
        switch refusal.meaning {
        case .perhapsCompleted: look(expected, finished)
        case .uploadGone, .partsDisagree, .conflict: lost
        default: nil
        }
      }
    ).send(.completeUpload(upload, parts: parts, size: exchange.size), heartbeat: heartbeat) { answer, reader throws(S3Refusal) in
      finished(try reader.completedUpload(answer))
    }
  }

  /// An earlier completion may have succeeded and its answer been lost: the object itself tells.
  private func look(_ expected: String?, _ finished: @escaping (String) -> ConversationStep) -> ConversationStep {
    call(refused: { $0.meaning == .objectMissing ? lost : nil }).send(.headObject(key)) { answer, reader throws(S3Refusal) in
      let object = try reader.object(answer)
      guard let expected, object.isObject(ofSize: exchange.size, etag: expected) != false, object.size == exchange.size else {
        return lost
      }
      return finished(object.etag ?? "")
    }
  }
}

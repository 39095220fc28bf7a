import HTTPTypes
import Hummingbird
import NIOCore
import UploadProtocol

/// `POST /files/`.
extension TusEndpoint {
  func create(_ request: Request, _ channel: any Channel) async throws(ReceiverError) -> Response {
    let metadata = try TusMetadata(header: request.headers[.uploadMetadata])
    let id = TusID.random()
    switch try TusConcat(request.headers) {
    case .final(let parts)?: return try await concatenate(request, parts, metadata, id)
    case let concat: return try await create(request, id, metadata, isPartial: concat != nil, channel)
    }
  }

  private func create(
    _ request: Request, _ id: TusID, _ metadata: TusMetadata, isPartial: Bool, _ channel: any Channel
  ) async throws(ReceiverError) -> Response {
    let length = try TusHeaders.length(request.headers)
    let sizeMax = store.limits.tusBytesMax
    if let length, length > sizeMax { throw .tooLarge(bytesMax: Int(sizeMax)) }
    if request.mayHaveBody, request.headers[.contentType] != TusHeaders.bodyType { throw .contentType }
    let path = isPartial ? nil : try metadata.path(id: id)

    try budget.take()
    defer { budget.release() }
    let hold = try await store.locks.take(id, channel: channel)
    defer { store.locks.release(id) }
    let upload = try await store.vault.perform { writer throws(ReceiverError) in
      try writer.createTus(
        id, length: length, kind: isPartial ? .partial : .whole, concat: isPartial ? "partial" : nil,
        metadata: metadata, path: path)
    }
    do throws(ReceiverError) {
      var headers = try await fill(request, id, upload, hold)
      headers[.location] = id.location(seenFrom: request)
      return Response(status: .created, headers: headers)
    } catch {
      // Nobody knows the address yet, so nobody could go on with it.
      _ = try? await store.remove(id)
      throw error
    }
  }

  /// Makes one recording of finished partial uploads, which stay until they expire or are deleted.
  private func concatenate(
    _ request: Request, _ parts: [TusID], _ metadata: TusMetadata, _ id: TusID
  ) async throws(ReceiverError) -> Response {
    guard request.headers[.uploadLength] == nil, request.headers[.uploadDeferLength] == nil, !request.mayHaveBody else {
      throw .badBody("A final upload has neither a length nor a body of its own.")
    }
    try budget.take()
    defer { budget.release() }
    var held: [TusID] = []
    defer { for part in held { store.locks.release(part) } }
    // A fixed order, so that two that share parts never wait for each other.
    for part in Set(parts).sorted(by: { $0.description < $1.description }) + [id] {
      _ = try await store.locks.take(part, channel: nil)
      held.append(part)
    }
    var sources: [TusUpload] = []
    for part in parts { sources.append(try await finished(part)) }
    var length: Int64 = 0
    for source in sources {
      let sum = length.addingReportingOverflow(source.offset)
      guard !sum.overflow, sum.partialValue <= store.limits.tusBytesMax else {
        throw .tooLarge(bytesMax: Int(store.limits.tusBytesMax))
      }
      length = sum.partialValue
    }
    let (path, total, concat) = (try metadata.path(id: id), length, request.headers[.uploadConcat])
    let upload = try await store.vault.perform { writer throws(ReceiverError) in
      try writer.createTus(id, length: total, kind: .final, concat: concat, metadata: metadata, path: path)
    }
    do throws(ReceiverError) {
      try await copy(sources, to: id, upload)
      _ = try await store.finishIfFull(id, try await store.upload(id))
    } catch {
      _ = try? await store.remove(id)
      throw error
    }
    return Response(status: .created, headers: [.location: id.location(seenFrom: request)])
  }

  private func finished(_ part: TusID) async throws(ReceiverError) -> TusUpload {
    let upload: TusUpload
    do throws(ReceiverError) { upload = try await store.upload(part) } catch {
      guard error == .notFound || error == .gone else { throw error }
      throw .badBody("The partial upload \(part.location) does not exist or has expired.")
    }
    guard upload.kind == .partial else { throw .badBody("\(part.location) is no partial upload.") }
    guard upload.isFull else { throw .badBody("The partial upload \(part.location) is not finished.") }
    return upload
  }

  /// Every chunk is read back, checked against its digest, and stored again where it belongs in the whole.
  private func copy(_ sources: [TusUpload], to id: TusID, _ upload: TusUpload) async throws(ReceiverError) {
    var feed = try await store.feed(id, upload)
    do throws(ReceiverError) {
      for source in sources {
        for index in 0..<ChunkLayout.chunkCount(size: source.offset) {
          guard let found = try await store.chunkReads.stored(source.session.id, index: index) else {
            throw .storage("chunk \(index) of \(source.session.id) is missing")
          }
          try await feed.add(found.bytes)
        }
      }
    } catch {
      await feed.drop()
      throw error
    }
    try await feed.finish()
  }
}

extension Request {
  /// Whether a body may follow: its length is not 0, or not known.
  fileprivate var mayHaveBody: Bool { headers[.transferEncoding] != nil || (contentLength ?? 0) > 0 }
}

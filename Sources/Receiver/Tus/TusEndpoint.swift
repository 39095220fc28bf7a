import HTTPTypes
import Hummingbird
import NIOCore
import UploadProtocol

/// `/files/`: tus 1.0.0 (docs/PROTOCOL.md, "tus").
struct TusEndpoint: Sendable {
  let store: TusStore
  let budget: BodyBudget
  let access: TusAccess

  static let version = "1.0.0"
  static let extensions =
    "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration,concatenation,reelfs-metadata"

  /// Whether tus answers for this path.
  static func owns(_ path: String) -> Bool { path == Routes.files || path.hasPrefix(Routes.files + "/") }

  func answer(_ request: Request, _ channel: any Channel) async throws(ReceiverError) -> Response {
    try access.check(request)
    guard request.headers[.tusResumable] == Self.version else { throw .tusVersion }
    let method = Self.method(of: request)
    let rest = request.uri.path.dropFirst(Routes.files.count)
    if rest.isEmpty || rest == "/" {
      guard method == .post else { throw .methodNotAllowed(allowed: "OPTIONS, POST") }
      return try await create(request, channel)
    }
    guard let id = TusID(String(rest.dropFirst())) else { throw .notFound }
    switch method {
    case .head: return try await head(id)
    case .patch: return try await patch(request, id, channel)
    case .delete: return try await delete(id)
    case .put: return try await rename(request, id)
    default: throw .methodNotAllowed(allowed: "OPTIONS, HEAD, PATCH, PUT, DELETE")
    }
  }

  /// What this receiver can; needs no token, so that a browser may ask before it sends one.
  func options() -> Response {
    Response(
      status: .noContent,
      headers: [
        .tusVersion: Self.version, .tusExtension: Self.extensions,
        .tusMaxSize: String(store.limits.tusBytesMax),
        .tusChecksumAlgorithm: TusChecksum.Algorithm.allCases.map(\.rawValue).joined(separator: ","),
      ])
  }

  /// Some networks let nothing but GET and POST through.
  static func method(of request: Request) -> HTTPRequest.Method {
    guard request.method == .post, let name = request.headers[.methodOverride] else { return request.method }
    return HTTPRequest.Method(name.uppercased()) ?? request.method
  }

  private func head(_ id: TusID) async throws(ReceiverError) -> Response {
    // A request that still makes progress is let be: the offset is what is durable now.
    _ = try? await store.locks.endSilent(id)
    var upload = try await store.upload(id)
    if !store.locks.isHeld(id) { upload = try await store.finishIfFull(id, upload) }
    var headers: HTTPFields = [.cacheControl: "no-store", .uploadOffset: String(upload.offset)]
    if let length = upload.length {
      headers[.uploadLength] = String(length)
    } else {
      headers[.uploadDeferLength] = "1"
    }
    headers[.uploadMetadata] = TusMetadata.header(in: upload.session.metadata)
    headers[.uploadConcat] = upload.concat
    headers[.uploadExpires] = upload.expires(store.limits).map { Timestamp.http(milliseconds: $0) }
    return Response(status: .ok, headers: headers)
  }

  private func patch(_ request: Request, _ id: TusID, _ channel: any Channel) async throws(ReceiverError) -> Response {
    guard request.headers[.contentType] == TusHeaders.bodyType else { throw .contentType }
    guard let offset = try TusHeaders.number(.uploadOffset, request.headers) else {
      throw .badBody("A PATCH needs Upload-Offset.")
    }
    try budget.take()
    defer { budget.release() }
    let hold = try await store.locks.take(id, channel: channel)
    defer { store.locks.release(id) }
    var upload = try await store.upload(id)
    if upload.kind == .final { throw .finalUpload }
    guard offset == upload.offset else { throw .offsetMismatch(current: upload.offset) }
    try await declareLength(request, id, &upload)
    return Response(status: .noContent, headers: try await fill(request, id, upload, hold))
  }

  /// `Upload-Length` of an upload that was created without; saying it again is no error.
  private func declareLength(_ request: Request, _ id: TusID, _ upload: inout TusUpload) async throws(ReceiverError) {
    guard let length = try TusHeaders.number(.uploadLength, request.headers), length != upload.length else { return }
    guard upload.length == nil else { throw .badBody("Upload-Length cannot change once it is known.") }
    guard length >= upload.offset else { throw .badBody("Upload-Length is less than the upload has already.") }
    guard length <= store.limits.tusBytesMax else { throw .tooLarge(bytesMax: Int(store.limits.tusBytesMax)) }
    try await store.vault.perform { writer throws(ReceiverError) in try writer.declareTus(length: length, of: id) }
    upload.length = length
  }

  /// Stores the body, finishes the upload when that was all, and says how far it is.
  func fill(
    _ request: Request, _ id: TusID, _ upload: TusUpload, _ hold: TusLocks.Hold
  ) async throws(ReceiverError) -> HTTPFields {
    try await TusAppending(store: store, id: id, hold: hold).append(request, to: upload)
    let stored = try await store.finishIfFull(id, try await store.upload(id))
    var headers: HTTPFields = [.uploadOffset: String(stored.offset)]
    headers[.uploadExpires] = stored.expires(store.limits).map { Timestamp.http(milliseconds: $0) }
    return headers
  }

  /// `reelfs-metadata`, an extension of ours: other metadata for an upload, and another name for its recording, also once it
  /// is whole. tus itself has no way to say so.
  private func rename(_ request: Request, _ id: TusID) async throws(ReceiverError) -> Response {
    let metadata = try TusMetadata(header: request.headers[.uploadMetadata])
    guard metadata.header != nil else { throw .badBody("A PUT needs Upload-Metadata.") }
    _ = try await store.locks.take(id, channel: nil)
    defer { store.locks.release(id) }
    let upload = try await store.upload(id)
    guard upload.kind != .partial else { throw .badBody("A partial upload is no recording and has no name.") }
    let path = try metadata.path(id: id)
    try await store.vault.perform { writer throws(ReceiverError) in try writer.renameTus(id, metadata, path) }
    return Response(status: .noContent)
  }

  private func delete(_ id: TusID) async throws(ReceiverError) -> Response {
    _ = try await store.locks.take(id, channel: nil)
    defer { store.locks.release(id) }
    _ = try await store.upload(id)
    try await store.remove(id)
    return Response(status: .noContent)
  }
}

extension Routes {
  /// Where tus is spoken; what follows is an upload's id.
  static let files = "/files"
}

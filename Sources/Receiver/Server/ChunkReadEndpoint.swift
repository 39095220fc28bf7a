import Crypto
import HTTPTypes
import Hummingbird
import NIOCore
import UploadProtocol

/// `GET /upload/sessions/{id}/chunks/{index}`: a stored chunk's bytes, verified, for a client that gave up its own copy.
struct ChunkReadEndpoint: Sendable {
  let folder: DataFolder
  let catalog: Catalog
  private let reading = FileReading()

  /// Folding or completing may move the bytes between the catalog's answer and the reading; the next look sees it.
  private static let looksMax = 3

  init(folder: DataFolder, catalog: Catalog) {
    self.folder = folder
    self.catalog = catalog
  }

  func read(_ request: Request, _ name: SessionName, index: Int) async throws(ReceiverError) -> Response {
    guard let found = try await stored(name, index: index) else { throw .notFound }
    let response = Response(
      status: .ok,
      headers: [
        .contentType: "application/octet-stream", .xContentTypeOptions: "nosniff", .cacheControl: "no-store",
      ], body: ResponseBody(byteBuffer: found.bytes))
    return request.method == .head ? response.createHeadResponse() : response
  }

  /// A chunk's row and its bytes, checked against its digest; nil when it is not stored.
  func stored(_ name: SessionName, index: Int) async throws(ReceiverError) -> (chunk: ChunkRecord, bytes: ByteBuffer)? {
    for _ in 0..<Self.looksMax {
      guard let (session, chunk) = try await records(name, index) else { return nil }
      let folder = self.folder
      let found = try await reading.run { () throws(ReceiverError) -> ByteBuffer? in
        for place in Self.places(session, chunk) {
          if let bytes = try Self.bytes(at: place, session, chunk, folder) { return bytes }
        }
        return nil
      }
      if let found { return (chunk, found) }
    }
    throw .storage("chunk \(index) of \(name) cannot be read back as it was acknowledged")
  }

  private func records(_ name: SessionName, _ index: Int) async throws(ReceiverError) -> (SessionRecord, ChunkRecord)? {
    do throws(CatalogError) {
      return try await catalog.snapshot { db in
        guard let session = try SessionRecord.fetch(db, id: name),
          let chunk = try ChunkRecord.fetch(db, session: session.number, index: index)
        else { return nil }
        return (session, chunk)
      }
    } catch { throw ReceiverError(error) }
  }

  private enum Place { case part, growing, whole(EntryName) }

  /// Where the bytes may lie, the likeliest first. The digest decides.
  private static func places(_ session: SessionRecord, _ chunk: ChunkRecord) -> [Place] {
    let files: [Place] = [.growing] + (session.whole.map { [.whole($0)] } ?? [])
    return chunk.place == .part ? [.part] + files : files + [.part]
  }

  /// nil: not there, or not these bytes.
  private static func bytes(
    at place: Place, _ session: SessionRecord, _ chunk: ChunkRecord, _ folder: DataFolder
  ) throws(ReceiverError) -> ByteBuffer? {
    do throws(IOFailure) {
      let directory = try folder.root.directory(session.id.folderName)
      let file: OpenFile
      var offset: Int64 = Int64(chunk.index) * Int64(ChunkLayout.chunkBytes)
      switch place {
      case .part:
        file = try directory.directory(DataFolder.tempName).directory(DataFolder.shardName(of: chunk.index))
          .file(DataFolder.partName(of: chunk.index), .read)
        offset = 0
      case .growing: file = try directory.directory(DataFolder.tempName).file(DataFolder.recordingName, .read)
      case .whole(let name): file = try directory.file(name, .read)
      }
      var buffer = ByteBuffer()
      try file.read(into: &buffer, count: chunk.byteCount, at: offset)
      return buffer.withUnsafeReadableBytes({ Array(SHA256.hash(data: $0)) }) == chunk.digest ? buffer : nil
    } catch {
      if error.isMissing { return nil }
      throw ReceiverError(error)
    }
  }
}

import Hummingbird
import Logging
import NIOCore
import UploadProtocol

/// Reads, fills, finishes and deletes uploads.
struct TusStore: Sendable {
  let folder: DataFolder
  let vault: Vault
  let catalog: Catalog
  let chunkReads: ChunkReadEndpoint
  let limits: ReceiverConfiguration.Limits
  let locks: TusLocks
  private let reading = FileReading()

  init(folder: DataFolder, vault: Vault, catalog: Catalog, limits: ReceiverConfiguration.Limits) {
    self.folder = folder
    self.vault = vault
    self.catalog = catalog
    self.limits = limits
    chunkReads = ChunkReadEndpoint(folder: folder, catalog: catalog)
    locks = TusLocks(staleSeconds: limits.tusStaleSeconds)
  }

  /// - Throws: `.notFound`, `.gone`.
  func upload(_ id: TusID) async throws(ReceiverError) -> TusUpload {
    // On the vault's thread, not as a snapshot: a request whose connection has ended is cancelled, and a cancelled
    // snapshot fails, just when what it received is to be kept.
    let upload = try await vault.perform { writer throws(ReceiverError) in
      try writer.cataloged { catalog throws(CatalogError) in try catalog.read { db in try TusUpload.fetch(db, id) } }
    }
    guard let upload else { throw .notFound }
    if let expires = upload.expires(limits), expires <= VaultWriter.now { throw .gone }
    return upload
  }

  /// A feed that goes on behind the upload's last byte.
  func feed(_ id: TusID, _ upload: TusUpload) async throws(ReceiverError) -> ChunkFeed {
    let (index, rest) = upload.offset.quotientAndRemainder(dividingBy: Int64(ChunkLayout.chunkBytes))
    guard rest > 0 else { return ChunkFeed(vault: vault, session: id.session, offset: upload.offset, tail: nil) }
    guard let tail = try await chunkReads.stored(id.session, index: Int(index)), tail.bytes.readableBytes == rest else {
      throw .storage("the last chunk of \(id.session) is not as the catalog says")
    }
    return ChunkFeed(vault: vault, session: id.session, offset: upload.offset, tail: tail)
  }

  /// Makes a full upload a recording; does nothing for others. Repeating it is harmless.
  /// - Returns: the upload as it is then.
  func finishIfFull(_ id: TusID, _ upload: TusUpload) async throws(ReceiverError) -> TusUpload {
    guard upload.isFull, !upload.session.isComplete, upload.kind != .partial else { return upload }
    let count = ChunkLayout.chunkCount(size: upload.offset)
    let number = upload.session.number
    let digests = try await vault.perform { writer throws(ReceiverError) in
      try writer.cataloged { catalog throws(CatalogError) in
        try catalog.read { db in try ChunkRecord.digests(db, session: number, count: count) }
      }
    }
    guard digests.count == count * ChunkDigest.byteCount else {
      throw .storage("chunks of \(id.session) are missing in the catalog")
    }
    let announcement = Announcement(session: id.session, path: nil, metadata: nil, writer: TusUpload.writer)
    _ = try await vault.complete(Completion(announcement: announcement, size: upload.offset, digests: digests))
    await removeReplaced(by: upload)
    return try await self.upload(id)
  }

  /// Deletes what the client uploaded of the same recording before. What cannot be deleted now, or not before a crash,
  /// goes with the next such upload: it has lost its name, and takes nothing but space.
  private func removeReplaced(by upload: TusUpload) async {
    let replaced = try? await vault.perform { writer throws(ReceiverError) in
      try writer.cataloged { catalog throws(CatalogError) in try catalog.read { db in try upload.fetchReplaced(db) } }
    }
    for id in replaced ?? [] where locks.takeIfFree(id) {
      try? await remove(id)
      locks.release(id)
    }
  }

  func remove(_ id: TusID) async throws(ReceiverError) {
    try await vault.perform { writer throws(ReceiverError) in try writer.removeTus(id) }
  }

  /// A file without a name in the upload's folder: gone with its last reference, whatever happens.
  func unnamedFile(_ id: TusID) async throws(ReceiverError) -> OpenFile {
    let folder = self.folder
    return try await reading.run { () throws(ReceiverError) in
      do throws(IOFailure) {
        let temp = try folder.root.directory(id.session.folderName).directory(DataFolder.tempName)
        let file = try temp.file("tus.body", .replace)
        try temp.remove("tus.body")
        return file
      } catch { throw ReceiverError(error) }
    }
  }

  /// Runs file work off the tasks of other requests.
  func onDisk<Value: Sendable>(
    _ body: @escaping @Sendable () throws(IOFailure) -> Value
  ) async throws(ReceiverError) -> Value {
    try await reading.run { () throws(ReceiverError) in
      do throws(IOFailure) { return try body() } catch { throw ReceiverError(error) }
    }
  }
}

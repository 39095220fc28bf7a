import GRDB
import Logging
import UploadProtocol

/// What the vault's thread does for tus beyond storing chunks.
extension VaultWriter {
  /// Makes an upload durable before its address is told.
  /// - Parameter path: nil for a partial upload, which is no recording.
  func createTus(
    _ id: TusID, length: Int64?, kind: TusUpload.Kind, concat: String?, metadata: TusMetadata, path: RecordingPath?
  ) throws(ReceiverError) -> TusUpload {
    let state = try session(id.session)
    do throws(ReceiverError) {
      state.record.path = try freePath(path, metadata, id, of: state)
      state.record.metadata = metadata.text
      state.record.writer = TusUpload.writer
      state.record.changed = Self.now
      let upload = TusUpload(session: state.record, length: length, kind: kind, concat: concat, offset: 0)
      try stored { () throws(IOFailure) in try TusFile(upload).write(to: state.temp()) }
      try cataloged { catalog throws(CatalogError) in
        try catalog.write { db in
          try upload.session.update(db)
          try upload.insert(db)
        }
      }
      return upload
    } catch {
      let number = state.record.number
      forget(state, because: error)
      _ = try? removeFolder(of: id.session)
      _ = try? catalog.write { db in try SessionRecord.delete(db, number: number) }
      throw error
    }
  }

  /// A second upload of one name gets a name of its own, browsers all send `video.mp4`; except where the client says
  /// that both are one recording: that takes its name over once it is whole.
  private func freePath(
    _ path: RecordingPath?, _ metadata: TusMetadata, _ id: TusID, of state: SessionState
  ) throws(ReceiverError) -> RecordingPath? {
    guard let path else { return nil }
    let source = TusMetadata.source(in: metadata.text)
    let number = state.record.number
    let isFree = try cataloged { catalog throws(CatalogError) in
      try catalog.read { db in
        guard let taken = try SessionRecord.fetch(db, path: path), taken.number != number else { return true }
        return try source != nil && TusUpload.source(db, session: taken.number) == source
      }
    }
    return isFree ? path : try TusMetadata.distinct(path, id: id)
  }

  /// Other metadata, and the name that goes with it; a whole recording moves at once.
  func renameTus(_ id: TusID, _ metadata: TusMetadata, _ path: RecordingPath) throws(ReceiverError) {
    let free = try freePath(path, metadata, id, of: try session(id.session))
    let state = try announce(
      Announcement(session: id.session, path: free, metadata: metadata.text, writer: TusUpload.writer))
    guard !state.record.isComplete else { return }
    let known = try cataloged { catalog throws(CatalogError) in try catalog.read { db in try TusUpload.fetch(db, id) } }
    guard let known else { throw .notFound }
    try stored { () throws(IOFailure) in try TusFile(known).write(to: state.temp()) }
  }

  func declareTus(length: Int64, of id: TusID) throws(ReceiverError) {
    let state = try session(id.session)
    let number = state.record.number
    let known = try cataloged { catalog throws(CatalogError) in
      try catalog.read { db in try TusUpload.fetch(db, id) }
    }
    guard var upload = known else { throw .notFound }
    upload.length = length
    let declared = upload
    try stored { () throws(IOFailure) in try TusFile(declared).write(to: state.temp()) }
    try cataloged { catalog throws(CatalogError) in
      try catalog.write { db in try TusUpload.setLength(db, length, session: number) }
    }
  }

  /// Deletes an upload and its bytes. From the first commit on nobody sees it; a crash after it is finished by the
  /// next sweep.
  func removeTus(_ id: TusID) throws(ReceiverError) {
    let state = try session(id.session)
    let record = state.record
    do throws(ReceiverError) {
      try cataloged { catalog throws(CatalogError) in
        try catalog.write { db in try TusUpload.markRemoved(db, session: record.number) }
      }
    } catch {
      // A full disk has no room to note it, but this is what makes room. A crash before the rows are gone leaves an
      // upload that lost its bytes, and that expires.
      guard error == .full else { throw error }
    }
    state.closeFiles()
    forget(state, because: .gone)
    if let link = record.link { removeLink(link) }
    try stored { () throws(IOFailure) in try removeFolder(of: id.session) }
    try cataloged { catalog throws(CatalogError) in
      try catalog.write { db in try SessionRecord.delete(db, number: record.number) }
    }
  }

  private func removeFolder(of name: SessionName) throws(IOFailure) {
    guard try folder.root.attributes(name.folderName) != nil else { return }
    try folder.root.directory(name.folderName).removeTree(DataFolder.tempName)
    try folder.root.removeTree(name.folderName)
    try folder.root.synchronize()
  }
}

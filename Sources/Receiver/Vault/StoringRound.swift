/// What one group commit is about: collected while bytes are written, then made durable together.
///
/// Order, and why: files are synced, then new names; then the catalog says what they are (one transaction); only then
/// are old names removed and requests answered. A crash before the commit leaves bytes that the catalog does not know
/// and that are overwritten; a crash after it leaves names that recovery settles.
struct StoringRound {
  struct ChunkKey: Hashable {
    let session: Int64
    let index: Int
  }

  private(set) var changes: [ChunkKey: ChunkRecord] = [:]
  private(set) var sessions: [SessionName: SessionState] = [:]
  /// Sessions with a new part over folded bytes: it is folded only after it is committed.
  private(set) var toFold: [SessionName: SessionState] = [:]
  private var files: [ObjectIdentifier: OpenFile] = [:]
  private var directories: [ObjectIdentifier: Directory] = [:]
  private var afterCommit: [Name] = []

  private struct Name {
    let directory: Directory
    let name: EntryName
    /// nil: the name is removed.
    let newName: EntryName?
  }

  var isEmpty: Bool { sessions.isEmpty }

  func hasChange(_ state: SessionState, _ index: Int) -> Bool {
    changes[ChunkKey(session: state.record.number, index: index)] != nil
  }

  mutating func touch(_ state: SessionState) { sessions[state.record.id] = state }

  mutating func foldLater(_ state: SessionState) { toFold[state.record.id] = state }

  mutating func change(_ state: SessionState, _ chunk: ChunkRecord) {
    touch(state)
    changes[ChunkKey(session: state.record.number, index: chunk.index)] = chunk
  }

  mutating func sync(_ file: OpenFile) { files[ObjectIdentifier(file)] = file }
  mutating func sync(_ directory: Directory) { directories[ObjectIdentifier(directory)] = directory }

  mutating func renameAfterCommit(_ name: EntryName, to newName: EntryName, in directory: Directory) {
    afterCommit.append(Name(directory: directory, name: name, newName: newName))
  }

  mutating func removeAfterCommit(_ name: EntryName, in directory: Directory) {
    afterCommit.append(Name(directory: directory, name: name, newName: nil))
  }

  /// Makes everything of the round durable. Nothing of it may be answered before this returns.
  func commit(to catalog: Catalog) throws(ReceiverError) {
    do throws(IOFailure) {
      for file in files.values { try file.synchronize() }
      for directory in directories.values { try directory.synchronize() }
    } catch { throw ReceiverError(error) }
    let now = VaultWriter.now
    for state in sessions.values { state.record.changed = now }
    let records = sessions.values.map(\.record)
    do throws(CatalogError) {
      try catalog.write { db in
        for record in records { try record.update(db) }
        for (key, chunk) in changes { try chunk.save(db, session: key.session) }
      }
    } catch { throw ReceiverError(error) }
  }

  /// Not synced: after a power cut recovery sees the names as they were and does the same again.
  func settleNames() throws(IOFailure) {
    for entry in afterCommit {
      if let newName = entry.newName {
        try entry.directory.rename(entry.name, to: entry.directory, as: newName)
      } else {
        try entry.directory.remove(entry.name)
      }
    }
  }
}

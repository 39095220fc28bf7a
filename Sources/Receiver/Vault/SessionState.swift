/// One session as the vault's writer holds it: its row, its open files, and who waits for it.
///
/// Used on the vault's thread only. Dropped and read again from the catalog after any failed commit.
final class SessionState {
  var record: SessionRecord
  /// Completions that wait until everything is folded, or the whole recording has been copied.
  var waiting: [(completion: Completion, answer: Answer<CompletedRecording>)] = []
  var mustFold = false

  /// A client asks again when it gave up waiting; more than this many at once are no honest client.
  static let waitingMax = 16

  private let root: Directory
  private var openFolder: Directory?
  private var openTemp: Directory?
  private var openRecording: OpenFile?
  /// The shard last used. Uploads come in order, so one is enough.
  private var openShard: (name: EntryName, directory: Directory)?

  init(record: SessionRecord, root: Directory) {
    self.record = record
    self.root = root
  }

  var isIdle: Bool { waiting.isEmpty && !mustFold }

  func folder() throws(IOFailure) -> Directory {
    if let openFolder { return openFolder }
    let directory = try root.directory(creating: record.id.folderName)
    openFolder = directory
    return directory
  }

  func temp() throws(IOFailure) -> Directory {
    if let openTemp { return openTemp }
    let directory = try folder().directory(creating: DataFolder.tempName)
    openTemp = directory
    return directory
  }

  /// The folders of a session that has none yet. The caller syncs them with what is put there.
  func newTemp() throws(IOFailure) -> Directory {
    let folder = try root.directory(creatingUnsynced: record.id.folderName)
    let temp = try folder.directory(creatingUnsynced: DataFolder.tempName)
    (openFolder, openTemp) = (folder, temp)
    return temp
  }

  func shard(of index: Int) throws(IOFailure) -> Directory {
    let name = DataFolder.shardName(of: index)
    if let openShard, openShard.name == name { return openShard.directory }
    let directory = try temp().directory(creating: name)
    openShard = (name, directory)
    return directory
  }

  /// The growing recording, and whether it had to be opened: then its name may be new and must be synced.
  func recording() throws(IOFailure) -> (file: OpenFile, isNewlyOpened: Bool) {
    if let openRecording { return (openRecording, false) }
    let file = try temp().file(DataFolder.recordingName, .update)
    openRecording = file
    return (file, true)
  }

  /// Before folders below are removed or renamed.
  func closeFiles() {
    openFolder = nil
    openTemp = nil
    openRecording = nil
    openShard = nil
  }

  /// - Throws: `.otherWriter` when the session has a writer and it is not `writer`.
  /// - Returns: whether the row changed.
  func admit(writer: String?) throws(ReceiverError) -> Bool {
    if record.writer != nil && record.writer != writer { throw .otherWriter }
    guard record.writer == nil, let writer else { return false }
    record.writer = writer
    return true
  }
}

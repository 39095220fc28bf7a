import Glibc
import UploadProtocol

/// Where everything lies below `uploaded_data` (docs/PROTOCOL.md, "Storage"). Holds the lock that keeps a second
/// receiver out, until it is released with the last reference.
final class DataFolder: Sendable {
  static let lockName: EntryName = "receiver.lock"
  static let recordingsName: EntryName = "recordings"
  static let catalogName = "receiver.sqlite"
  static let tempName: EntryName = "temp"
  static let recordingName: EntryName = "recording"
  static let manifestName: EntryName = ".reelfs-manifest.json"
  static let newManifestName: EntryName = "manifest.json"
  static let newLinkName: EntryName = "link"
  /// A recording is copied under this name and renamed when the copy is whole.
  static let copyName: EntryName = "recording.copy"

  let path: String
  let root: Directory
  let recordings: Directory
  private let lock: OpenFile

  /// - Throws: `.dataFolderInUse` when another receiver has it.
  init(path: String) throws(ReceiverError) {
    do throws(IOFailure) {
      self.path = path
      root = try Directory.open(path: path)
      lock = try root.file(Self.lockName, .update)
    } catch { throw .dataFolder(path: path, reason: "\(error)") }
    guard flock(lock.descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .dataFolderInUse(path: path) }
    do throws(IOFailure) { recordings = try root.directory(creating: Self.recordingsName) } catch {
      throw .dataFolder(path: path, reason: "\(error)")
    }
  }

  /// Lets another receiver in; only when nothing uses the folder any more.
  func unlock() { _ = flock(lock.descriptor, LOCK_UN) }

  var catalogPath: String { path + "/" + Self.catalogName }

  static func shardName(of index: Int) -> EntryName {
    let digits = String(index / ChunkLayout.chunksPerShard)
    return EntryName(internal: "shard_" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits)
  }

  static func partName(of index: Int) -> EntryName { EntryName(internal: "\(index).part") }

  /// The name of a part until it is whole and synced. Starts with a dot, so it is never taken for a part.
  static func newPartName(of index: Int, version: UInt32) -> EntryName {
    EntryName(internal: ".\(index).part.v\(version)")
  }

  /// The chunk that a part's name tells; nil for any other name.
  static func chunkIndex(ofPart name: EntryName) -> Int? {
    let text = name.description
    guard text.hasSuffix(".part"), let index = Int(text.dropLast(5)), partName(of: index) == name else { return nil }
    return (0...ChunkLayout.indexMax).contains(index) ? index : nil
  }

  /// Chunk and version of a part that was not renamed yet; nil for any other name.
  static func chunkVersion(ofNewPart name: EntryName) -> (index: Int, version: UInt32)? {
    let words = name.description.split(separator: ".", omittingEmptySubsequences: false)
    guard words.count == 4, words[0].isEmpty, words[2] == "part", words[3].first == "v",
      let index = Int(words[1]), let version = UInt32(words[3].dropFirst()),
      newPartName(of: index, version: version) == name
    else { return nil }
    return (index, version)
  }
}

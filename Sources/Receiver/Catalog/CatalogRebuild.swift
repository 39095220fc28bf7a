import Foundation
import GRDB
import Logging
import NIOCore
import SystemPackage
import UploadProtocol

/// Finds out from the data alone what the receiver has: every byte is read and hashed.
///
/// Versions are not in the data. They count as 0, so whatever a client sends again replaces what was found, and what
/// it sends unchanged is recognised by its digest.
struct CatalogRebuild {
  let folder: DataFolder
  let catalog: Catalog
  let logger: Logger

  /// - Returns: how many sessions were found.
  func run() throws(CatalogError) -> Int {
    var found: [FoundSession] = []
    do throws(IOFailure) {
      for entry in try folder.root.entries() {
        guard let name = SessionName(entry.description), try folder.root.attributes(entry)?.isDirectory == true else {
          continue
        }
        found.append(try look(at: name))
      }
    } catch { throw CatalogError(error) }
    // The recording completed last at a path is the one that its path shows.
    found.sort { ($0.completed ?? 0, $0.name.description) < ($1.completed ?? 0, $1.name.description) }
    for session in found {
      try record(session)
      logger.info("session found", metadata: ["session": "\(session.name)"])
    }
    return found.count
  }

  private struct FoundSession {
    let name: SessionName
    let directory: Directory
    var manifest: RecordingManifestFile?
    var whole: EntryName?
    var wholeSize: Int64 = 0
    /// Milliseconds since 1970: when the whole recording was last written.
    var completed: Int64?
    var recording: OpenFile?
    /// Of an unfinished tus upload.
    var tus: TusFile?
  }

  /// Reads names and the manifest only.
  private func look(at name: SessionName) throws(IOFailure) -> FoundSession {
    let directory = try folder.root.directory(name.folderName)
    var session = FoundSession(name: name, directory: directory)
    session.manifest = try RecordingManifestFile.read(from: directory)
    let named = session.manifest?.recordingPath?.fileName
    for entry in try directory.entries() where entry != DataFolder.manifestName {
      guard let attributes = try directory.attributes(entry), attributes.isRegularFile else { continue }
      guard session.whole == nil || entry == named else { continue }
      session.whole = entry
      session.wholeSize = attributes.size
      session.completed = attributes.modified * 1000
    }
    guard try directory.attributes(DataFolder.tempName)?.isDirectory == true else { return session }
    let temp = try directory.directory(DataFolder.tempName)
    session.tus = try TusFile.read(from: temp)
    if try temp.attributes(DataFolder.recordingName)?.isRegularFile == true {
      session.recording = try temp.file(DataFolder.recordingName, .read)
    }
    return session
  }

  private func record(_ found: FoundSession) throws(CatalogError) {
    let name = found.name
    do throws(IOFailure) {
      let source = try source(of: found)
      let size = try source?.attributes().size ?? 0
      let number = try catalogNumber(of: name)
      var digests: [UInt8] = []
      for index in 0..<ChunkLayout.chunkCount(size: size) {
        guard let source else { break }
        let chunk = try Self.hash(source, index, at: Int64(index) * Int64(ChunkLayout.chunkBytes), .recording)
        digests += chunk.digest
        try save(chunk, number)
      }
      let partCount = try recordParts(of: found, number)
      var record = SessionRecord(number: number, id: name, changed: VaultWriter.now)
      record.path = found.manifest?.recordingPath ?? found.tus?.recordingPath
      record.metadata = found.manifest?.metadata.text ?? found.tus?.metadata ?? "{}"
      record.folded = digests.count / ChunkDigest.byteCount
      record.whole = found.whole
      record.completed = found.completed
      if found.whole != nil {
        let manifest = found.manifest
        record.size = found.wholeSize
        record.chain = ChunkDigest(hex: manifest?.chain ?? "")?.bytes
        let isAsManifest = manifest.map { $0.size == size && Array($0.digests) == digests } ?? false
        record.isComplete = isAsManifest && found.recording == nil && partCount == 0
        record.isPrepared = record.isComplete || found.recording != nil
        record.mustPublish = record.path != nil
      }
      let tus = tusUpload(found, record)
      if tus != nil { record.writer = TusUpload.writer }
      let final = record
      try cataloging { db in
        try final.update(db)
        try tus?.insert(db)
      }
    } catch { throw CatalogError(error) }
  }

  /// nil for a session of another protocol. A finished upload has no file of its own any more, but an id that tells.
  private func tusUpload(_ found: FoundSession, _ record: SessionRecord) -> TusUpload? {
    guard TusID(session: found.name) != nil else { return nil }
    if let file = found.tus {
      return TusUpload(session: record, length: file.length, kind: file.kind, concat: file.concat, offset: 0)
    }
    guard record.whole != nil else { return nil }
    return TusUpload(session: record, length: record.size, kind: .whole, concat: nil, offset: record.size)
  }

  /// The file that holds the folded chunks.
  private func source(of found: FoundSession) throws(IOFailure) -> OpenFile? {
    if let recording = found.recording { return recording }
    guard let whole = found.whole else { return nil }
    return try found.directory.file(whole, .read)
  }

  /// - Returns: how many parts there are.
  private func recordParts(of found: FoundSession, _ number: Int64) throws(IOFailure) -> Int {
    guard try found.directory.attributes(DataFolder.tempName)?.isDirectory == true else { return 0 }
    let temp = try found.directory.directory(DataFolder.tempName)
    var count = 0
    for shardName in try temp.entries() where shardName.description.hasPrefix("shard_") {
      let shard = try temp.directory(shardName)
      for entry in try shard.entries() {
        guard let index = DataFolder.chunkIndex(ofPart: entry), DataFolder.shardName(of: index) == shardName else {
          continue
        }
        let chunk = try Self.hash(try shard.file(entry, .read), index, at: 0, .part)
        guard chunk.byteCount > 0 else { continue }
        try save(chunk, number)
        count += 1
      }
    }
    return count
  }

  private static func hash(
    _ file: OpenFile, _ index: Int, at offset: Int64, _ place: ChunkRecord.Place
  ) throws(IOFailure) -> ChunkRecord {
    var bytes = ByteBuffer()
    try file.read(into: &bytes, count: ChunkLayout.chunkBytes, at: offset)
    return ChunkRecord(index: index, version: 0, byteCount: bytes.readableBytes, digest: bytes.sha256, place: place)
  }

  private func catalogNumber(of name: SessionName) throws(IOFailure) -> Int64 {
    let now = VaultWriter.now
    return try cataloging { db in try SessionRecord.insert(db, id: name, now: now).number }
  }

  private func save(_ chunk: ChunkRecord, _ number: Int64) throws(IOFailure) {
    try cataloging { db in try chunk.save(db, session: number) }
  }

  private func cataloging<Value>(_ body: (Database) throws -> Value) throws(IOFailure) -> Value {
    do throws(CatalogError) { return try catalog.write(body) } catch {
      throw IOFailure(errno: error.isNoSpace ? .noSpace : .ioError, action: error.description)
    }
  }
}

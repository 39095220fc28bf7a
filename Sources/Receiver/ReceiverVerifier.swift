import Foundation
public import Logging
import NIOCore
import UploadProtocol

/// Reads every stored byte again and compares it with what was acknowledged.
public enum ReceiverVerifier {
  /// What was read, and what is wrong.
  public struct Report: Sendable, Equatable, CustomStringConvertible {
    public internal(set) var sessionCount = 0
    public internal(set) var chunkCount = 0
    public internal(set) var byteCount: Int64 = 0
    /// How many things are wrong; `problems` holds the first of them.
    public internal(set) var problemCount = 0
    /// One sentence each, at most `problemsMax`.
    public internal(set) var problems: [String] = []

    /// Sentences kept: enough to see a pattern, bounded when a whole disk is bad.
    public static let problemsMax = 1_000

    public var isSound: Bool { problemCount == 0 }

    public var description: String {
      let read = "\(sessionCount) sessions, \(chunkCount) chunks, \(byteCount) bytes read: "
      return read + (isSound ? "all as acknowledged" : "\(problemCount) problems")
    }

    mutating func add(_ problem: String) {
      problemCount += 1
      if problems.count < Self.problemsMax { problems.append(problem) }
    }
  }

  /// Mends what an interrupted run left, as a start does, then reads everything. Blocks for as long as the disk needs.
  /// - Throws: `.dataFolderInUse` while a receiver runs on it, `.storage` when the catalog cannot be read.
  public static func verify(dataDirectory: String, logger: Logger) throws(ReceiverError) -> Report {
    let folder = try DataFolder(path: dataDirectory)
    defer { folder.unlock() }
    let catalog = try CatalogOpening.open(folder, logger: logger)
    let vault = Vault(folder: folder, catalog: catalog, sessionsMax: .max, logger: logger)
    try vault.recover()
    vault.stop()
    var report = Report()
    do throws(CatalogError) {
      var last: Int64 = 0
      while true {
        let after = last
        let sessions = try catalog.read { db in try SessionRecord.fetchAll(db, after: after, limit: 100) }
        guard let end = sessions.last else { break }
        for session in sessions { try SessionCheck(folder: folder, catalog: catalog, session: session).run(&report) }
        last = end.number
      }
      try catalog.close()
    } catch { throw ReceiverError(error) }
    return report
  }
}

/// The check of one session.
private struct SessionCheck {
  let folder: DataFolder
  let catalog: Catalog
  let session: SessionRecord

  func run(_ report: inout ReceiverVerifier.Report) throws(CatalogError) {
    report.sessionCount += 1
    var next = 0
    var main: OpenFile?
    do throws(IOFailure) { main = try mainFile() } catch { report.add("\(session.id): \(error)") }
    while true {
      let (number, from) = (session.number, next)
      let chunks = try catalog.read { db in try ChunkRecord.fetchPage(db, session: number, from: from, limit: 1_000) }
      guard let end = chunks.last else { break }
      for chunk in chunks {
        do throws(IOFailure) { try check(chunk, main, &report) } catch {
          report.add("\(session.id) chunk \(chunk.index): \(error)")
        }
      }
      next = end.index + 1
    }
    do throws(IOFailure) { try checkWhole(&report) } catch { report.add("\(session.id): \(error)") }
  }

  /// The file in which folded chunks lie; nil when there are none yet.
  private func mainFile() throws(IOFailure) -> OpenFile? {
    let directory = try folder.root.directory(session.id.folderName)
    if session.isComplete || !session.isPrepared {
      guard let whole = session.whole else { return nil }
      return try directory.file(whole, .read)
    }
    if session.folded == 0 { return nil }
    return try directory.directory(DataFolder.tempName).file(DataFolder.recordingName, .read)
  }

  private func check(
    _ chunk: ChunkRecord, _ main: OpenFile?, _ report: inout ReceiverVerifier.Report
  ) throws(IOFailure) {
    var bytes = ByteBuffer()
    switch chunk.place {
    case .part:
      let temp = try folder.root.directory(session.id.folderName).directory(DataFolder.tempName)
      let part = try temp.directory(DataFolder.shardName(of: chunk.index)).file(
        DataFolder.partName(of: chunk.index), .read)
      try part.read(into: &bytes, count: ChunkLayout.chunkBytes + 1, at: 0)
    case .recording:
      // An unreadable file was reported already, once for all its chunks.
      guard let main else { return }
      try main.read(into: &bytes, count: chunk.byteCount, at: Int64(chunk.index) * Int64(ChunkLayout.chunkBytes))
    }
    report.chunkCount += 1
    report.byteCount += Int64(bytes.readableBytes)
    if bytes.readableBytes != chunk.byteCount || bytes.sha256 != chunk.digest {
      report.add("\(session.id) chunk \(chunk.index): the stored bytes are not those that were acknowledged")
    }
  }

  /// Size, manifest and link of a whole recording; its bytes too when the catalog no longer describes them, because
  /// the recording is changing again.
  private func checkWhole(_ report: inout ReceiverVerifier.Report) throws(IOFailure) {
    guard let whole = session.whole else { return }
    let directory = try folder.root.directory(session.id.folderName)
    let file = try directory.file(whole, .read)
    let attributes = try file.attributes()
    if attributes.size != session.size {
      report.add("\(session.id): \(whole) has \(attributes.size) bytes instead of \(session.size)")
    }
    guard let manifest = try RecordingManifestFile.read(from: directory) else {
      return report.add("\(session.id): there is no readable manifest")
    }
    let digests = Array(manifest.digests)
    guard manifest.size == session.size,
      digests.count == ChunkLayout.chunkCount(size: session.size) * ChunkDigest.byteCount,
      DigestChain.hexadecimal(DigestChain.link(digests)) == manifest.chain,
      session.chain.map(DigestChain.hexadecimal) == manifest.chain
    else { return report.add("\(session.id): the manifest does not belong to this recording") }
    if !session.isComplete && session.isPrepared { try checkBytes(of: file, digests, &report) }
    if let link = session.link { try checkLink(link, attributes, &report) }
  }

  private func checkBytes(
    of file: OpenFile, _ digests: [UInt8], _ report: inout ReceiverVerifier.Report
  ) throws(IOFailure) {
    var bytes = ByteBuffer()
    for index in 0..<ChunkLayout.chunkCount(size: session.size) {
      bytes.clear()
      try file.read(
        into: &bytes, count: ChunkLayout.byteCount(of: index, size: session.size),
        at: Int64(index) * Int64(ChunkLayout.chunkBytes))
      report.byteCount += Int64(bytes.readableBytes)
      if bytes.sha256 != Array(digests[index * ChunkDigest.byteCount..<(index + 1) * ChunkDigest.byteCount]) {
        report.add("\(session.id) chunk \(index): the whole recording differs from its manifest")
      }
    }
  }

  private func checkLink(
    _ link: [UInt8], _ whole: FileAttributes, _ report: inout ReceiverVerifier.Report
  ) throws(IOFailure) {
    let names = link.split(separator: UInt8(ascii: "/")).compactMap { EntryName($0) }
    var directory = folder.recordings
    for name in names.dropLast() { directory = try directory.directory(name) }
    guard let last = names.last, let linked = try directory.attributes(last), linked.isSameFile(as: whole) else {
      return report.add("\(session.id): recordings/\(String(decoding: link, as: UTF8.self)) is not this recording")
    }
  }
}

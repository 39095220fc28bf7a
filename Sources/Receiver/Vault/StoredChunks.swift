import Crypto
import NIOCore
import UploadProtocol

/// Reads stored chunks again from where the catalog says that they lie. On a thread that may block.
struct StoredChunks: Sendable {
  let folder: DataFolder
  let catalog: Catalog

  /// What of a chunk is on the disk now.
  struct Found: Sendable, Equatable {
    let byteCount: Int
    /// SHA-256 of the bytes that were read.
    let digest: [UInt8]
  }

  /// Folding or completing may move the bytes between the catalog's answer and the reading; the next look sees it.
  static let looksMax = 3

  /// - Parameters:
  ///   - session, chunk: what the catalog said a moment ago.
  /// - Returns: nil when there are no bytes where they should be.
  func read(_ session: SessionRecord, _ chunk: ChunkRecord) throws(ReceiverError) -> Found? {
    var (session, chunk) = (session, chunk)
    var found: Found?
    for look in 1...Self.looksMax {
      found = try bytes(session, chunk)
      if found?.digest == chunk.digest || look == Self.looksMax { return found }
      let (number, index) = (session.number, chunk.index)
      do throws(CatalogError) {
        let fresh = try catalog.read { db in
          (try SessionRecord.fetch(db, number: number), try ChunkRecord.fetch(db, session: number, index: index))
        }
        // As before: then what was read is what there is.
        if fresh.0 == session, fresh.1 == chunk { return found }
        guard let newSession = fresh.0, let newChunk = fresh.1 else { return nil }
        (session, chunk) = (newSession, newChunk)
      } catch { throw ReceiverError(error) }
    }
    return found
  }

  /// Size of the whole recording's file and the chain of the digests in its manifest, both as they are on the disk; nil
  /// for what is missing or cannot be read.
  func whole(of session: SessionRecord) throws(ReceiverError) -> (size: Int64?, chain: [UInt8]?) {
    guard let whole = session.whole else { return (nil, nil) }
    do throws(IOFailure) {
      let directory = try folder.root.directory(session.id.folderName)
      let size = try directory.attributes(whole)?.size
      let manifest = try RecordingManifestFile.read(from: directory)
      return (size, manifest.map { DigestChain.link(Array($0.digests)) })
    } catch {
      if error.isMissing { return (nil, nil) }
      throw ReceiverError(error)
    }
  }

  private func bytes(_ session: SessionRecord, _ chunk: ChunkRecord) throws(ReceiverError) -> Found? {
    do throws(IOFailure) {
      let directory = try folder.root.directory(session.id.folderName)
      let isInWhole = session.isComplete || !session.isPrepared
      let file: OpenFile
      var offset: Int64 = 0
      switch chunk.place {
      case .part:
        file = try directory.directory(DataFolder.tempName).directory(DataFolder.shardName(of: chunk.index))
          .file(DataFolder.partName(of: chunk.index), .read)
      case .recording:
        offset = Int64(chunk.index) * Int64(ChunkLayout.chunkBytes)
        guard isInWhole else {
          file = try directory.directory(DataFolder.tempName).file(DataFolder.recordingName, .read)
          break
        }
        guard let whole = session.whole else { return nil }
        file = try directory.file(whole, .read)
      }
      var buffer = ByteBuffer()
      try file.read(into: &buffer, count: chunk.byteCount, at: offset)
      if buffer.readableBytes == 0 { return nil }
      return Found(
        byteCount: buffer.readableBytes, digest: buffer.withUnsafeReadableBytes { Array(SHA256.hash(data: $0)) })
    } catch {
      if error.isMissing { return nil }
      throw ReceiverError(error)
    }
  }
}

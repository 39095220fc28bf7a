import Crypto
import Logging
import NIOCore
import UploadProtocol

/// Mending what an interrupted run left. Costs nothing for settled sessions, however many there are.
extension VaultWriter {
  /// - Parameter resume: how the copier's messages reach this writer, from any thread.
  func recover(resume: @escaping @Sendable (VaultJob) -> Void) throws(ReceiverError) {
    self.resume = resume
    let unsettled = try cataloged { catalog throws(CatalogError) in
      try catalog.read { db in try SessionRecord.fetchUnsettled(db) }
    }
    for record in unsettled {
      let state = try session(record.id)
      do throws(ReceiverError) {
        if state.record.mustPublish { try publish(state) }
        if !state.record.isComplete { try settle(state) }
      } catch {
        // One damaged session must not keep the others from being served.
        logger.error("recovery failed", metadata: ["session": "\(record.id)", "reason": "\(error)"])
      }
      if sessions.count > Self.sessionsLoadedMax { foldAll() }
    }
    foldAll()
    if !unsettled.isEmpty { logger.info("recovered", metadata: ["running_sessions": "\(unsettled.count)"]) }
  }

  /// Folds until nothing is left, and forgets what was loaded for it.
  private func foldAll() {
    while hasWork { run([]) }
    run([])
  }

  private func settle(_ state: SessionState) throws(ReceiverError) {
    let number = state.record.number
    let inParts = try cataloged { catalog throws(CatalogError) in
      try catalog.read { db in try ChunkRecord.fetchInParts(db, session: number) }
    }
    try stored { () throws(IOFailure) in
      let temp = try state.temp()
      for name in [DataFolder.newLinkName, DataFolder.newManifestName, DataFolder.copyName] { try temp.remove(name) }
      for entry in try temp.entries() where entry.description.hasPrefix("shard_") {
        try settleShard(try temp.directory(entry), state, inParts)
      }
    }
    guard state.record.isPrepared else { return prepare(state) }
    try forgetLostChunks(state)
    state.mustFold = true
  }

  /// The growing recording was synced before the catalog counted on it, so it is never too short, unless the disk lost
  /// it or somebody cut it. Then the lost chunks are asked for again.
  private func forgetLostChunks(_ state: SessionState) throws(ReceiverError) {
    let (number, folded) = (state.record.number, state.record.folded)
    let size = try stored { () throws(IOFailure) in
      try state.temp().attributes(DataFolder.recordingName)?.size ?? 0
    }
    let whole = Int(size / Int64(ChunkLayout.chunkBytes))
    guard whole < folded else { return }
    let rest = Int(size % Int64(ChunkLayout.chunkBytes))
    let held = try cataloged { catalog throws(CatalogError) in
      try catalog.write { db in
        let last = try ChunkRecord.fetch(db, session: number, index: whole)
        let held = last.map { $0.byteCount <= rest } == true ? whole + 1 : whole
        try ChunkRecord.deleteFolded(db, session: number, from: held)
        return held
      }
    }
    guard held < folded else { return }
    logger.error(
      "stored chunks are lost and asked for again",
      metadata: ["session": "\(state.record.id)", "from": "\(held)", "below": "\(folded)"])
    state.record.folded = held
    try commit(state)
  }

  /// Renames the parts that were committed under their temporary name, removes all that was not committed.
  private func settleShard(_ shard: Directory, _ state: SessionState, _ inParts: Set<Int>) throws(IOFailure) {
    for entry in try shard.entries() {
      if let index = DataFolder.chunkIndex(ofPart: entry) {
        if !inParts.contains(index) { try shard.remove(entry) }
      } else if let (index, version) = DataFolder.chunkVersion(ofNewPart: entry) {
        if try isCommitted(index, version, try shard.file(entry, .read), state) {
          try shard.rename(entry, to: shard, as: DataFolder.partName(of: index))
        } else {
          try shard.remove(entry)
        }
      }
    }
    try shard.synchronize()
  }

  private func isCommitted(
    _ index: Int, _ version: UInt32, _ file: OpenFile, _ state: SessionState
  ) throws(IOFailure) -> Bool {
    let number = state.record.number
    let known = try? catalog.read { db in try ChunkRecord.fetch(db, session: number, index: index) }
    guard let chunk = known, chunk.version == version, chunk.place == .part else { return false }
    var bytes = ByteBuffer()
    try file.read(into: &bytes, count: ChunkLayout.chunkBytes, at: 0)
    return bytes.sha256 == chunk.digest
  }
}

extension ByteBuffer {
  var sha256: [UInt8] {
    var hash = SHA256()
    withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
    return Array(hash.finalize())
  }
}

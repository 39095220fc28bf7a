import Glibc
import UploadCore
import UploadProtocol

/// Recordings in a folder: another disk, a network folder. A recording grows as `path.partial` and is renamed to `path`
/// when it is whole. What belongs to which session is noted in `.reelfs/` there, so that a recording is found again after a
/// restart or a rename. Belongs to one thread.
package struct FolderStore: Sendable {
  /// Absolute, without a slash at its end.
  let root: [UInt8]
  /// What the folder is known by; nil: it is used for the first time. A disk that is not mounted leaves an empty folder
  /// behind, which must not be taken for it.
  private var identity: String?
  private let remember: @Sendable (String) -> Void

  /// - Parameters:
  ///   - identity: as `remember` was told it.
  ///   - remember: keeps the folder's identity over restarts.
  package init(folder: String, identity: String?, remember: @escaping @Sendable (String) -> Void) {
    root = Array(folder.utf8)
    self.identity = identity
    self.remember = remember
  }

  // MARK: Is it there?

  mutating func look() -> TransferOutcome {
    do throws(FolderError) {
      var status = stat()
      guard stat(FolderFile.text(root), &status) == 0 else { throw FolderError("looking for \(FolderFile.shown(root))") }
      guard status.st_mode & S_IFMT == S_IFDIR else { throw FolderError(FolderFile.shown(root), number: ENOTDIR) }
      let file = own("id")
      if let there = try FolderFile.contents(file, bytesMax: 64) {
        return recognise(String(decoding: there, as: UTF8.self))
      }
      if identity != nil {
        return .unreachable(
          "\(FolderFile.shown(root)) is there but is not the folder that was used before (its .reelfs/id is missing): is the disk mounted?")
      }
      try FolderFile.makeFolders(to: own("sessions/x"), below: root)
      let new = String(UInt64.random(in: .min ... .max), radix: 16)
      try FolderFile.replace(file, Array(new.utf8))
      return recognise(new)
    } catch {
      return error.outcome
    }
  }

  private mutating func recognise(_ found: String) -> TransferOutcome {
    if let identity, identity != found {
      return .blocked(
        .configuration, "\(FolderFile.shown(root)) is another folder than the one used before: is it the right disk?")
    }
    if identity == nil {
      identity = found
      remember(found)
    }
    return .reachable
  }

  // MARK: Sessions

  /// Where a session's bytes are.
  struct Place: Equatable {
    /// Below the root.
    var path: [UInt8]
    /// Where it grows, below the root; nil: it is whole, at `path`.
    var partial: [UInt8]?

    init(path: [UInt8], partial: [UInt8]?) {
      self.path = path
      self.partial = partial
    }

    init?(_ record: [UInt8]) {
      let parts = record.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
      guard parts.count == 2, !parts[0].isEmpty else { return nil }
      self.init(path: parts[0], partial: parts[1].isEmpty ? nil : parts[1])
    }

    var record: [UInt8] { path + [0] + (partial ?? []) }
  }

  /// Two paths of at most 4 KiB each.
  private static let recordBytesMax = 16 << 10

  func place(of session: SessionID) throws(FolderError) -> Place? {
    try FolderFile.contents(own("sessions/\(session)"), bytesMax: Self.recordBytesMax).flatMap { Place($0) }
  }

  private func note(_ place: Place, of session: SessionID) throws(FolderError) {
    try FolderFile.replace(own("sessions/\(session)"), place.record)
  }

  // MARK: Names. A file is renamed first and noted after; a crash in between must not lose track of it.

  private func intentFile(_ session: SessionID) -> [UInt8] { own("sessions/\(session).intent") }

  /// Says, durably, that `source` is about to be renamed to where `place` has its bytes.
  private func intend(_ source: [UInt8], _ place: Place, _ session: SessionID) throws(FolderError) {
    try FolderFile.replace(intentFile(session), source + [0] + place.record)
  }

  /// Does what was intended.
  private func rename(_ source: [UInt8], to place: Place, of session: SessionID) throws(FolderError) {
    let target = absolute(place.partial ?? place.path)
    try FolderFile.rename(absolute(source), target)
    try FolderFile.syncFolder(of: target)
    try note(place, of: session)
    try FolderFile.remove(intentFile(session))
  }

  /// Finds out how far a crash let the last intent come: its file is at one of the two names.
  private func settle(_ session: SessionID) throws(FolderError) {
    guard let record = try FolderFile.contents(intentFile(session), bytesMax: Self.recordBytesMax) else { return }
    if let end = record.firstIndex(of: 0), let place = Place(Array(record[(end + 1)...])) {
      let source = Array(record[..<end])
      if !FolderFile.exists(absolute(source)) {
        if FolderFile.exists(absolute(place.partial ?? place.path)) { try note(place, of: session) }
      } else if source == copyName(of: place.path, session) {
        try FolderFile.remove(absolute(source))
      }
    }
    try FolderFile.remove(intentFile(session))
  }

  /// Where a partial file is made, beside where it will lie: nobody else has this name.
  private func copyName(of path: [UInt8], _ session: SessionID) -> [UInt8] {
    Array(path[..<((path.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)]) + Array("\(session).copy".utf8)
  }

  func announce(_ session: SessionID, _ facts: SessionFacts) throws(FolderError) -> TransferOutcome {
    try settle(session)
    guard !facts.path.starts(with: Array(".reelfs/".utf8)) else {
      return .rejected("the folder .reelfs of the destination is its own; give the recording another name")
    }
    return try move(session, facts)
  }

  /// Makes the place, or follows a rename.
  private func move(_ session: SessionID, _ facts: SessionFacts) throws(FolderError) -> TransferOutcome {
    let path = absolute(facts.path)
    try FolderFile.makeFolders(to: path, below: root)
    guard let old = try place(of: session) else {
      let place = Place(path: facts.path, partial: freePartial(facts.path, session))
      let copy = copyName(of: facts.path, session)
      try intend(copy, place, session)
      close(try FolderFile.open(absolute(copy), O_RDWR | O_CREAT | O_TRUNC))
      try rename(copy, to: place, of: session)
      return .announced(facts)
    }
    guard old.path != facts.path else { return .announced(facts) }
    let place = Place(path: facts.path, partial: old.partial == nil ? nil : freePartial(facts.path, session))
    let source = old.partial ?? old.path
    guard FolderFile.exists(absolute(source)) else {
      try note(place, of: session)
      return .announced(facts)
    }
    try intend(source, place, session)
    try rename(source, to: place, of: session)
    return .announced(facts)
  }

  /// `path.partial`, or with the session in it where that is somebody else's or too long.
  private func freePartial(_ path: [UInt8], _ session: SessionID) -> [UInt8] {
    let plain = path + Array(".partial".utf8)
    let name = plain[((plain.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)...]
    if name.count <= Int(NAME_MAX), !FolderFile.exists(absolute(plain)) { return plain }
    let folder = path[..<((path.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)]
    return Array(folder) + Array("\(session).partial".utf8)
  }

  // MARK: Bytes

  func store(_ chunk: ChunkPayload, moved: () -> Void) throws(FolderError) -> TransferOutcome {
    guard var place = try place(of: chunk.chunk.session) else { return .sessionUnknown }
    if place.partial == nil { place = try reopen(place, of: chunk.chunk.session, moved: moved) }
    guard let partial = place.partial, FolderFile.exists(absolute(partial)) else { return .sessionUnknown }
    let path = absolute(partial)
    let file = try FolderFile.open(path, O_RDWR)
    defer { close(file) }
    let offset = Int64(chunk.chunk.index) * Int64(ChunkLayout.chunkBytes)
    try FolderFile.write(chunk.bytes, to: file, at: offset, path)
    try FolderFile.sync(file, path)
    return .stored(chunk.version, chunk.digest, bytes: chunk.bytes.count)
  }

  /// A whole recording changes: it grows on as a partial copy, and the whole one stays until that is whole.
  private func reopen(_ place: Place, of session: SessionID, moved: () -> Void) throws(FolderError) -> Place {
    let copy = copyName(of: place.path, session)
    let (from, to) = (absolute(place.path), absolute(copy))
    guard FolderFile.exists(from) else { return place }
    let changed = Place(path: place.path, partial: freePartial(place.path, session))
    try intend(copy, changed, session)
    let source = try FolderFile.open(from, O_RDONLY)
    defer { close(source) }
    let target = try FolderFile.open(to, O_RDWR | O_CREAT | O_TRUNC)
    defer { close(target) }
    var offset: Int64 = 0
    while case let bytes = try FolderFile.read(source, at: offset, count: ChunkLayout.chunkBytes, from), !bytes.isEmpty {
      try FolderFile.write(bytes, to: target, at: offset, to)
      offset += Int64(bytes.count)
      moved()
    }
    try FolderFile.sync(target, to)
    try rename(copy, to: changed, of: session)
    return changed
  }

  func complete(_ manifest: RecordingManifest, moved: () -> Void) throws(FolderError) -> TransferOutcome {
    try settle(manifest.session)
    guard var place = try place(of: manifest.session), place.path == manifest.facts.path else { return .sessionUnknown }
    let whole = absolute(place.path)
    if place.partial == nil {
      guard FolderFile.exists(whole) else { return .incomplete(missing: Self.allChunks(manifest)) }
      let file = try FolderFile.open(whole, O_RDWR)
      defer { close(file) }
      if try FolderFile.size(file, whole) == manifest.size { return .completed(revision: manifest.revision) }
      // Only its length has changed.
      place = try reopen(place, of: manifest.session, moved: moved)
    }
    guard let partial = place.partial, FolderFile.exists(absolute(partial)) else { return .sessionUnknown }
    let path = absolute(partial)
    let file = try FolderFile.open(path, O_RDWR)
    defer { close(file) }
    let size = try FolderFile.size(file, path)
    guard size >= manifest.size else {
      return .incomplete(missing: Self.allChunks(manifest).filter { Int64($0 + 1) * Int64(ChunkLayout.chunkBytes) > size })
    }
    guard ftruncate(file, off_t(manifest.size)) == 0 else { throw FolderError("cutting \(FolderFile.shown(path))") }
    guard fsync(file) == 0 else { throw FolderError("syncing \(FolderFile.shown(path))") }
    let done = Place(path: place.path, partial: nil)
    try intend(partial, done, manifest.session)
    try rename(partial, to: done, of: manifest.session)
    return .completed(revision: manifest.revision)
  }

  /// At most so many in one answer, as our receiver does.
  private static func allChunks(_ manifest: RecordingManifest) -> [Int] {
    Array((0..<ChunkLayout.chunkCount(size: manifest.size)).prefix(10_000))
  }

  /// The bytes of a stored chunk.
  func bytes(of chunk: ChunkID) throws(FolderError) -> [UInt8] {
    guard let place = try place(of: chunk.session) else { throw FolderError("looking for \(chunk.session)", number: ENOENT) }
    let path = absolute(place.partial ?? place.path)
    let file = try FolderFile.open(path, O_RDONLY)
    defer { close(file) }
    return try FolderFile.read(
      file, at: Int64(chunk.index) * Int64(ChunkLayout.chunkBytes), count: ChunkLayout.chunkBytes, path)
  }

  private func absolute(_ path: [UInt8]) -> [UInt8] { root + [UInt8(ascii: "/")] + path }
  private func own(_ name: String) -> [UInt8] { absolute(Array(".reelfs/\(name)".utf8)) }
}

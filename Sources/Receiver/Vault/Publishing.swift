import Logging
import SystemPackage

/// Making the folders look as the catalog says. Every step can be repeated, so an interrupted publication is mended
/// by doing it again.
extension VaultWriter {
  /// Gives the whole recording its name in the session's folder and below `recordings/`.
  func publish(_ state: SessionState) throws(ReceiverError) {
    guard let path = state.record.path else { return }
    let link = try stored { () throws(IOFailure) in try giveNames(state, path, .atOnce) }
    try published([(state, path, link)])
  }

  /// When new names are synced.
  enum NameSync {
    case atOnce
    /// By the caller, before he tells the catalog.
    case together
  }

  /// - Returns: as `linkWhole`.
  func giveNames(_ state: SessionState, _ path: RecordingPath, _ sync: NameSync) throws(IOFailure) -> [UInt8]? {
    try nameWhole(state, path, sync)
    return try linkWhole(state, path, sync)
  }

  /// The names of these recordings are durable: the catalog is told, and what they were made from goes. A link that two of
  /// them have been given is the later one's.
  func published(_ named: [(state: SessionState, path: RecordingPath, link: [UInt8]?)]) throws(ReceiverError) {
    for (state, path, link) in named {
      state.record.whole = path.fileName
      state.record.link = link
      state.record.mustPublish = false
      if let link { forgetLink(link, except: state) }
    }
    let records = named.map(\.state.record)
    do throws(ReceiverError) {
      try cataloged { catalog throws(CatalogError) in
        try catalog.write { db in
          for record in records {
            if let link = record.link { try SessionRecord.takeLink(db, link, for: record.number) }
            try record.update(db)
          }
        }
      }
    } catch {
      for (state, _, _) in named { forget(state, because: error) }
      throw error
    }
    for (state, _, _) in named where state.record.isComplete {
      state.closeFiles()
      do throws(IOFailure) { try folder.root.directory(state.record.id.folderName).removeTree(DataFolder.tempName) } catch {
        logger.warning("leftovers", metadata: ["session": "\(state.record.id)", "reason": "\(error)"])
      }
    }
  }

  /// What `takeLink` did in the catalog, for the rows in memory.
  private func forgetLink(_ link: [UInt8], except owner: SessionState) {
    for state in sessions.values where state !== owner && state.record.link == link { state.record.link = nil }
  }

  private func nameWhole(_ state: SessionState, _ path: RecordingPath, _ sync: NameSync) throws(IOFailure) {
    let name = path.fileName
    let folder = try state.folder()
    let temp = try state.temp()
    if state.record.isComplete, try temp.attributes(DataFolder.newManifestName) != nil {
      try temp.rename(DataFolder.newManifestName, to: folder, as: DataFolder.manifestName)
    } else if var manifest = try RecordingManifestFile.read(from: folder), manifest.recordingPath != path {
      manifest.rename(to: path)
      try temp.write(manifest.bytes, synced: DataFolder.newManifestName)
      try temp.rename(DataFolder.newManifestName, to: folder, as: DataFolder.manifestName)
    }
    if state.record.isComplete {
      if try temp.attributes(DataFolder.recordingName) != nil {
        try temp.rename(DataFolder.recordingName, to: folder, as: name)
      }
    }
    if let old = state.record.whole, old != name, try folder.attributes(old) != nil {
      if try folder.attributes(name) == nil {
        try folder.rename(old, to: folder, as: name)
      } else {
        try folder.remove(old)
      }
    }
    if sync == .atOnce { try folder.synchronize() }
  }

  /// - Returns: the path below `recordings/`; nil when the file system has no hard links or the name is taken by
  ///   folders. The recording is whole in its session's folder all the same.
  private func linkWhole(
    _ state: SessionState, _ path: RecordingPath, _ sync: NameSync
  ) throws(IOFailure) -> [UInt8]? {
    let names = [path.device] + path.components
    let own = EntryName(internal: state.record.id.description + "~")
    let fallback = [path.device, EntryName((own.bytes + path.fileName.bytes).prefix(EntryName.byteCountMax)) ?? own]
    let oldLink = state.record.link
    for candidate in [names, fallback] {
      let link = Array(candidate.map(\.bytes).joined(separator: [UInt8(ascii: "/")]))
      do throws(IOFailure) {
        try place(state, path.fileName, at: candidate, sync)
        if let oldLink, oldLink != link { removeLink(oldLink) }
        return link
      } catch {
        guard error.isNameConflict || error.hasNoHardLinks else { throw error }
        logger.warning(
          "a recording cannot have its name below recordings/",
          metadata: ["session": "\(state.record.id)", "path": "\(path)", "reason": "\(error)"])
      }
    }
    if let oldLink { removeLink(oldLink) }
    return nil
  }

  /// Links the whole recording as `names`, replacing atomically what is there.
  private func place(
    _ state: SessionState, _ name: EntryName, at names: [EntryName], _ sync: NameSync
  ) throws(IOFailure) {
    let temp = try state.temp()
    var target = folder.recordings
    for name in names.dropLast() { target = try target.directory(creating: name) }
    try temp.remove(DataFolder.newLinkName)
    try state.folder().link(name, to: temp, as: DataFolder.newLinkName)
    try temp.rename(DataFolder.newLinkName, to: target, as: names[names.count - 1])
    // rename(2) does nothing when both names are links to one file already.
    try temp.remove(DataFolder.newLinkName)
    if sync == .atOnce { try target.synchronize() }
  }

  /// Removes a link that is no longer this session's, and the folders that are empty then.
  func removeLink(_ link: [UInt8]) {
    let names = link.split(separator: UInt8(ascii: "/")).compactMap { EntryName($0) }
    do throws(IOFailure) {
      var directories = [folder.recordings]
      for name in names.dropLast() { directories.append(try directories[directories.count - 1].directory(name)) }
      for (directory, name) in zip(directories, names).reversed() {
        if name == names[names.count - 1], directory === directories[directories.count - 1] {
          try directory.remove(name)
        } else if try !directory.removeDirectory(name) {
          break
        }
      }
    } catch {
      logger.debug("an old name below recordings/ was gone already", metadata: ["reason": "\(error)"])
    }
  }
}

extension IOFailure {
  /// A file where a folder is needed, or the other way round, or a symbolic link that is not followed.
  var isNameConflict: Bool {
    [.notDirectory, .isDirectory, .directoryNotEmpty, .fileExists, .tooManySymbolicLinkLevels, .fileNameTooLong]
      .contains(errno)
  }

  var hasNoHardLinks: Bool {
    [.notPermitted, .tooManyLinks, .notSupported, .improperLink].contains(errno)
  }
}

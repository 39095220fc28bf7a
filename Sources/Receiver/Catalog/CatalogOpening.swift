import Logging

/// Opens the catalog; one that is missing or damaged is rebuilt from the data, never taken for empty.
enum CatalogOpening {
  /// - Throws: `.storage` for a catalog of a newer receiver, or when the disk fails; nothing was changed then.
  static func open(_ folder: DataFolder, logger: Logger) throws(ReceiverError) -> Catalog {
    do throws(CatalogError) {
      let catalog = try Catalog(path: folder.catalogPath)
      let isEmpty = try catalog.read { db in try SessionRecord.count(db) == 0 }
      guard isEmpty, try hasSessions(folder) else { return catalog }
      // A file that is missing or was cut to nothing opens as a new, empty one.
      try catalog.close()
      return try rebuild(folder, logger, because: "it is empty although there are sessions", asideName: nil)
    } catch {
      guard error.isDamage else { throw ReceiverError(error) }
      do throws(CatalogError) {
        return try rebuild(
          folder, logger, because: error.description, asideName: DataFolder.catalogName + ".damaged-\(VaultWriter.now)")
      } catch {
        throw ReceiverError(error)
      }
    }
  }

  private static func hasSessions(_ folder: DataFolder) throws(CatalogError) -> Bool {
    do throws(IOFailure) { return try folder.root.entries().contains { SessionName($0.description) != nil } } catch {
      throw CatalogError(error)
    }
  }

  /// - Parameter asideName: what the damaged catalog is called from now on; nil: there is nothing in it to keep.
  private static func rebuild(
    _ folder: DataFolder, _ logger: Logger, because reason: String, asideName: String?
  ) throws(CatalogError) -> Catalog {
    let name = DataFolder.catalogName
    let newName = name + ".new"
    do throws(IOFailure) {
      for ending in ["", "-wal", "-shm"] { try folder.root.remove(EntryName(internal: newName + ending)) }
    } catch { throw CatalogError(error) }
    logger.warning(
      "the catalog is rebuilt from the data",
      metadata: ["reason": "\(reason)", "set_aside": "\(asideName ?? "nothing")"])

    let rebuilt = try Catalog(path: folder.path + "/" + newName)
    let count = try CatalogRebuild(folder: folder, catalog: rebuilt, logger: logger).run()
    try rebuilt.close()

    do throws(IOFailure) {
      for ending in ["", "-wal", "-shm"] {
        let old = EntryName(internal: name + ending)
        if let asideName, try folder.root.attributes(old) != nil {
          try folder.root.rename(old, to: folder.root, as: EntryName(internal: asideName + ending))
        } else {
          try folder.root.remove(old)
        }
      }
      try folder.root.rename(EntryName(internal: newName), to: folder.root, as: EntryName(internal: name))
      // Empty: `close` has copied all of the log.
      for ending in ["-wal", "-shm"] { try folder.root.remove(EntryName(internal: newName + ending)) }
      try folder.root.synchronize()
    } catch { throw CatalogError(error) }
    logger.notice("the catalog is rebuilt", metadata: ["sessions": "\(count)"])
    return try Catalog(path: folder.catalogPath)
  }
}

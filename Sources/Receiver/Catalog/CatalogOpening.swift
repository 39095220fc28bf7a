import Logging

/// Opens the catalog; one that is missing or damaged is rebuilt from the data, never taken for empty.
enum CatalogOpening {
  /// - Throws: `.storage` for a catalog of a newer receiver, or when the disk fails; nothing was changed then.
  static func open(_ folder: DataFolder, logger: Logger) throws(ReceiverError) -> Catalog {
    do throws(CatalogError) {
      let catalog = try Catalog(path: folder.catalogPath)
      let isEmpty = try catalog.read { db in try SessionRecord.count(db) == 0 }
      guard isEmpty, try hasSessions(folder) else { return catalog }
      // A file that was cut to nothing opens as a new, empty one.
      try catalog.close()
      return try setAsideAndRebuild(folder, logger, because: "it is empty although there are sessions")
    } catch {
      guard error.isDamage else { throw ReceiverError(error) }
      do throws(CatalogError) { return try setAsideAndRebuild(folder, logger, because: error.description) } catch {
        throw ReceiverError(error)
      }
    }
  }

  private static func hasSessions(_ folder: DataFolder) throws(CatalogError) -> Bool {
    do throws(IOFailure) { return try folder.root.entries().contains { SessionName($0.description) != nil } } catch {
      throw CatalogError(error)
    }
  }

  private static func setAsideAndRebuild(
    _ folder: DataFolder, _ logger: Logger, because reason: String
  ) throws(CatalogError) -> Catalog {
    let name = DataFolder.catalogName
    let newName = name + ".new"
    let asideName = name + ".damaged-\(VaultWriter.now)"
    do throws(IOFailure) {
      for ending in ["", "-wal", "-shm"] { try folder.root.remove(EntryName(internal: newName + ending)) }
    } catch { throw CatalogError(error) }
    logger.warning(
      "the catalog is rebuilt from the data", metadata: ["reason": "\(reason)", "set_aside": "\(asideName)"])

    let rebuilt = try Catalog(path: folder.path + "/" + newName)
    let count = try CatalogRebuild(folder: folder, catalog: rebuilt, logger: logger).run()
    // Closing moves everything from the write-ahead log into the file.
    try rebuilt.close()

    do throws(IOFailure) {
      for ending in ["", "-wal", "-shm"] {
        let old = EntryName(internal: name + ending)
        if try folder.root.attributes(old) != nil {
          try folder.root.rename(old, to: folder.root, as: EntryName(internal: asideName + ending))
        }
      }
      try folder.root.rename(EntryName(internal: newName), to: folder.root, as: EntryName(internal: name))
      try folder.root.synchronize()
    } catch { throw CatalogError(error) }
    logger.notice("the catalog is rebuilt", metadata: ["sessions": "\(count)"])
    return try Catalog(path: folder.catalogPath)
  }
}

import Logging

/// Opens the catalog.
enum CatalogOpening {
  static func open(_ folder: DataFolder, logger: Logger) throws(ReceiverError) -> Catalog {
    do throws(CatalogError) { return try Catalog(path: folder.catalogPath) } catch { throw ReceiverError(error) }
  }
}

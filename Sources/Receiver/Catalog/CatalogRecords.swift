import GRDB

/// One session's row.
struct SessionRecord: Sendable, Equatable {
  /// Row id; chunks refer to it.
  var number: Int64
  var id: SessionName
  var path: RecordingPath?
  var writer: String?
  /// A JSON object, as the client sent it.
  var metadata: String = "{}"
  var isComplete = false
  /// Chunks `0..<folded` have a place in the growing recording, or in the whole one when complete.
  var folded = 0
  /// False while the growing recording must first be copied from the whole one.
  var isPrepared = true
  /// Bytes of the whole recording; 0 before the first completion.
  var size: Int64 = 0
  var chain: [UInt8]?
  var whole: EntryName?
  var link: [UInt8]?
  var mustPublish = false
  /// Milliseconds since 1970.
  var changed: Int64
  var completed: Int64?
}

extension SessionRecord {
  init(row: Row) throws(CatalogError) {
    guard let id = SessionName(row["id"] as String) else { throw CatalogError("a session's id is damaged", .damage) }
    number = row["number"]
    self.id = id
    if let device = row.bytes("device"), let bytes = row.bytes("path") {
      do throws(ReceiverError) { path = try RecordingPath(device: device, path: bytes) } catch {
        throw CatalogError("the path of session \(id) is damaged", .damage)
      }
    }
    writer = row["writer"]
    metadata = row["metadata"]
    isComplete = row["complete"]
    folded = row["folded"]
    isPrepared = row["prepared"]
    size = row["size"]
    chain = row.bytes("chain")
    whole = row.bytes("whole").flatMap { EntryName($0) }
    link = row.bytes("link")
    mustPublish = row["publish"]
    changed = row["changed"]
    completed = row["completed"]
  }
}

/// One chunk's row.
struct ChunkRecord: Sendable, Equatable {
  enum Place: Int, Sendable {
    case part = 0
    case recording = 1
  }

  var index: Int
  /// 0: found in the data when the catalog was rebuilt; any version replaces it.
  var version: UInt32
  var byteCount: Int
  /// 32 bytes.
  var digest: [UInt8]
  var place: Place
}

extension ChunkRecord {
  init(row: Row) throws(CatalogError) {
    guard let place = Place(rawValue: row["place"]) else { throw CatalogError("a chunk's place is damaged", .damage) }
    guard let digest = row.bytes("digest"), digest.count == 32 else {
      throw CatalogError("a chunk's digest is damaged", .damage)
    }
    self.init(index: row["idx"], version: row["version"], byteCount: row["bytes"], digest: digest, place: place)
  }
}

/// The catalog could not answer or could not remember.
struct CatalogError: Error, CustomStringConvertible {
  enum Kind {
    /// The file is not a catalog, or not a sound one.
    case damage
    case noSpace
    case other
  }

  let description: String
  let kind: Kind

  init(_ description: String, _ kind: Kind = .other) {
    self.description = description
    self.kind = kind
  }

  /// GRDB throws untyped errors; this is where they get a type.
  init(_ error: any Error) {
    if let error = error as? CatalogError {
      self = error
    } else if let error = error as? DatabaseError {
      let kind: Kind =
        switch error.resultCode {
        case .SQLITE_FULL: .noSpace
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: .damage
        default: .other
        }
      self.init("catalog: \(error.message ?? "error \(error.resultCode)")", kind)
    } else if let error = error as? IOFailure {
      self.init(error.description, error.isNoSpace ? .noSpace : .other)
    } else {
      self.init("catalog: \(error)")
    }
  }

  var isNoSpace: Bool { kind == .noSpace }
  var isDamage: Bool { kind == .damage }
}

import Foundation
import GRDB
import Hummingbird
import NIOCore
import UploadProtocol

/// The last part of an upload's address: 128 random bits, so that nobody guesses another's.
struct TusID: Hashable, Sendable, CustomStringConvertible {
  let description: String

  static let sessionPrefix = "sess_tus_"

  static func random() -> TusID {
    // From the kernel's generator.
    var generator = SystemRandomNumberGenerator()
    let digits = (0..<16).map { _ in
      let byte = UInt8.random(in: .min ... .max, using: &generator)
      return (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return TusID(description: digits.joined())
  }

  private init(description: String) { self.description = description }

  init?(_ text: String) {
    let isHexadecimal = text.utf8.allSatisfy { byte in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
    guard text.utf8.count == 32, isHexadecimal else { return nil }
    description = text
  }

  init?(session: SessionName) {
    guard session.description.hasPrefix(Self.sessionPrefix) else { return nil }
    self.init(String(session.description.dropFirst(Self.sessionPrefix.count)))
  }

  /// The session that holds the upload's bytes.
  var session: SessionName {
    guard let name = SessionName(Self.sessionPrefix + description) else { preconditionFailure("an id is a valid name") }
    return name
  }

  /// Where the upload is, for sentences.
  var location: String { Routes.files + "/" + description }

  /// `Location` as seen from the address that `request` was sent to (RFC 3986, section 5). A relative one: whatever a
  /// proxy in front makes of scheme, host and path, it stays right.
  func location(seenFrom request: Request) -> String {
    request.uri.path.hasSuffix("/") ? description : "files/" + description
  }
}

/// A tus upload: a session, and what tus says beyond it.
struct TusUpload: Sendable {
  enum Kind: Int, Sendable, Codable {
    case whole = 0
    case partial = 1
    case final = 2
  }

  /// The writer of these sessions, so that no other protocol changes them.
  static let writer = "tus"

  var session: SessionRecord
  var length: Int64?
  var kind: Kind
  var concat: String?
  /// Durable bytes.
  var offset: Int64

  /// Whether every byte is here.
  var isFull: Bool { length == offset }

  /// Milliseconds since 1970; nil for what is kept: a recording, or what becomes one as soon as the disk lets it.
  func expires(_ limits: ReceiverConfiguration.Limits) -> Int64? {
    if session.isComplete || (isFull && kind != .partial) { return nil }
    return session.changed + Int64(limits.tusExpirySeconds) * 1_000
  }
}

extension TusUpload {
  static func fetch(_ db: Database, _ id: TusID) throws -> TusUpload? {
    guard let session = try SessionRecord.fetch(db, id: id.session) else { return nil }
    let row = try Row.fetchOne(
      try db.cachedStatement(sql: "SELECT * FROM tus WHERE session = ? AND removed = 0"), arguments: [session.number])
    guard let row else { return nil }
    guard let kind = Kind(rawValue: row["kind"]) else { throw CatalogError("a tus upload's kind is damaged", .damage) }
    let offset =
      session.isComplete
      ? session.size : try ChunkRecord.contiguousBytes(db, session: session.number, folded: session.folded)
    return TusUpload(session: session, length: row["length"], kind: kind, concat: row["concat"], offset: offset)
  }

  func insert(_ db: Database) throws {
    try db.execute(
      sql: "INSERT INTO tus (session, length, kind, concat, source) VALUES (?, ?, ?, ?, ?)",
      arguments: [session.number, length, kind.rawValue, concat, TusMetadata.source(in: session.metadata)])
  }

  /// The client's own name for the recording of a session; nil when it has none, or the session is no tus upload.
  static func source(_ db: Database, session: Int64) throws -> String? {
    try String.fetchOne(db, sql: "SELECT source FROM tus WHERE session = ?", arguments: [session])
  }

  /// Finished uploads of the same recording that were created before this one.
  func fetchReplaced(_ db: Database) throws -> [TusID] {
    let ids = try String.fetchAll(
      db,
      sql: """
        SELECT session.id FROM tus JOIN session ON session.number = tus.session
        WHERE tus.source = (SELECT source FROM tus WHERE session = ?) AND tus.session < ? AND session.complete = 1
        """, arguments: [session.number, session.number])
    return ids.compactMap { SessionName($0).flatMap { TusID(session: $0) } }
  }

  static func setLength(_ db: Database, _ length: Int64, session: Int64) throws {
    try db.execute(sql: "UPDATE tus SET length = ? WHERE session = ?", arguments: [length, session])
  }

  static func markRemoved(_ db: Database, session: Int64) throws {
    try db.execute(sql: "UPDATE tus SET removed = 1 WHERE session = ?", arguments: [session])
  }

  /// Uploads that a sweep may have to do something about: after `number`, unfinished or being deleted.
  static func fetchUnfinished(_ db: Database, after number: Int64, limit: Int) throws -> [SweepEntry] {
    let rows = try Row.fetchAll(
      db,
      sql: """
        SELECT session.number AS number, session.id AS id, tus.removed AS removed FROM tus
        JOIN session ON session.number = tus.session
        WHERE (session.complete = 0 OR tus.removed = 1) AND session.number > ? ORDER BY session.number LIMIT ?
        """, arguments: [number, limit])
    return rows.map { row in
      SweepEntry(
        number: row["number"], id: SessionName(row["id"] as String).flatMap { TusID(session: $0) },
        isRemoved: row["removed"])
    }
  }

  struct SweepEntry: Sendable {
    let number: Int64
    let id: TusID?
    let isRemoved: Bool
  }
}

/// `temp/tus.json`: what the catalog knows of an unfinished upload, for when the catalog is lost.
struct TusFile: Codable {
  static let name: EntryName = "tus.json"
  static let newName: EntryName = "tus.json.new"
  /// More than any header may hold.
  private static let byteCountMax: Int64 = 256 << 10

  let length: Int64?
  let kind: TusUpload.Kind
  let concat: String?
  let device: Data?
  let path: Data?
  let metadata: String

  init(_ upload: TusUpload) {
    length = upload.length
    kind = upload.kind
    concat = upload.concat
    device = upload.session.path.map { Data($0.device.bytes) }
    path = upload.session.path.map { Data($0.bytes) }
    metadata = upload.session.metadata
  }

  var recordingPath: RecordingPath? {
    guard let device, let path else { return nil }
    return try? RecordingPath(device: device, path: path)
  }

  /// nil when there is none that can be read.
  static func read(from temp: Directory) throws(IOFailure) -> TusFile? {
    guard try temp.attributes(name)?.isRegularFile == true else { return nil }
    let file = try temp.file(name, .read)
    let size = try file.attributes().size
    guard size <= byteCountMax else { return nil }
    var bytes = ByteBuffer()
    try file.read(into: &bytes, count: Int(size), at: 0)
    return try? JSON.decode(TusFile.self, from: Data(bytes.readableBytesView))
  }

  func write(to temp: Directory) throws(IOFailure) {
    try temp.write(JSON.encode(self), synced: Self.newName)
    try temp.rename(Self.newName, to: temp, as: Self.name)
    try temp.synchronize()
  }
}

import Foundation

/// `Upload-Metadata`: what a client says of its file, and where the recording lies because of it.
struct TusMetadata {
  /// As the client sent it; HEAD gives it back.
  let header: String?
  private let values: [String: [UInt8]]

  /// The recording's device when the client names none.
  static let deviceDefault: EntryName = "tus"
  /// Key in the recording's metadata under which the header is kept.
  static let headerKey = "Upload-Metadata"

  init(header: String?) throws(ReceiverError) {
    self.header = header
    var values: [String: [UInt8]] = [:]
    for pair in (header ?? "").split(separator: ",") {
      let words = pair.split(separator: " ")
      guard (1...2).contains(words.count), words[0].utf8.allSatisfy({ $0 > 32 && $0 < 127 }),
        let value = words.count == 1 ? Data() : Data(base64Encoded: String(words[1])),
        values.updateValue(Array(value), forKey: String(words[0])) == nil
      else { throw .badBody("Upload-Metadata must be pairs of a key, once each, and a value in base64.") }
    }
    self.values = values
  }

  /// The values decoded, the header as it came: the metadata of the recording's manifest.
  var text: String {
    var object: [String: JSONValue] = [:]
    for (key, bytes) in values {
      object[key] =
        String(validating: bytes, as: UTF8.self).map { .string($0) }
        ?? .object(["base64": .string(Data(bytes).base64EncodedString())])
    }
    object[Self.headerKey] = header.map { .string($0) }
    return JSONValue.object(object).text
  }

  /// The header of a recording whose metadata is `text`.
  static func header(in text: String) -> String? {
    guard case .object(let object)? = JSONValue(text: text), case .string(let header)? = object[headerKey] else {
      return nil
    }
    return header
  }

  /// `device` and `relativePath` or `filename`, made harmless. Never refuses: what can be recorded only once must not
  /// fail on its name.
  func path(id: TusID) throws(ReceiverError) -> RecordingPath {
    let device = values["device"].flatMap { Self.component($0[...]) } ?? Self.deviceDefault
    let parts = nameWithFolders.split(separator: UInt8(ascii: "/"))
    var components = parts.compactMap { Self.component($0) }
    // A folder path beyond the limit is left out, the name is kept.
    if components.reduce(0, { $0 + $1.bytes.count + 1 }) > RecordingPath.byteCountMax { components.removeFirst(components.count - 1) }
    if components.isEmpty { components = [EntryName(internal: id.description)] }
    return try RecordingPath(
      device: device.bytes, path: components.map(\.bytes).joined(separator: [UInt8(ascii: "/")]))
  }

  /// Of `relativePath` the folders count only before the same name: Uppy sends the word `null` for a file without any.
  private var nameWithFolders: [UInt8] {
    let name = values["filename"] ?? values["name"] ?? []
    guard let path = values["relativePath"] else { return name }
    return name.isEmpty || path == name || path.suffix(name.count + 1) == [UInt8(ascii: "/")] + name ? path : name
  }

  /// Which recording of which client this is, for those that say so (`device` and `session`); nil for others.
  static func source(in text: String) -> String? {
    guard case .object(let object)? = JSONValue(text: text), case .string(let device)? = object["device"],
      case .string(let session)? = object["session"], !session.isEmpty
    else { return nil }
    return device + "/" + session
  }

  /// The same path with a part of the id in the name: for a second upload of one name.
  static func distinct(_ path: RecordingPath, id: TusID) throws(ReceiverError) -> RecordingPath {
    let (stem, ending) = split(path.components[path.components.count - 1].bytes)
    let mark = Array("~\(id.description.prefix(8))".utf8)
    let name = shortened(stem, to: EntryName.byteCountMax - mark.count - ending.count) + mark + ending
    return try RecordingPath(
      device: path.device.bytes,
      path: (path.components.dropLast().map(\.bytes) + [name]).joined(separator: [UInt8(ascii: "/")]))
  }

  /// nil for what means no entry of its own: nothing, `.` and `..`.
  private static func component(_ bytes: ArraySlice<UInt8>) -> EntryName? {
    let clean = bytes.map { $0 == 0 || $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0 }
    if let name = EntryName(clean) { return name }
    guard clean.count > EntryName.byteCountMax else { return nil }
    let (stem, ending) = split(clean)
    return EntryName(shortened(stem, to: EntryName.byteCountMax - ending.count) + ending)
  }

  /// Name and ending, the dot with the ending; an ending of more than 16 bytes is none.
  private static func split(_ name: [UInt8]) -> (stem: [UInt8], ending: [UInt8]) {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0, name.count - dot <= 16 else { return (name, []) }
    return (Array(name[..<dot]), Array(name[dot...]))
  }

  /// Cuts between characters of UTF-8, not within one.
  private static func shortened(_ bytes: [UInt8], to count: Int) -> [UInt8] {
    guard bytes.count > count else { return bytes }
    var end = count
    while end > 0 && bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return Array(bytes[..<(end > 0 ? end : count)])
  }
}

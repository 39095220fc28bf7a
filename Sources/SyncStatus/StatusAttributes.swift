import UploadProtocol

/// The attributes `user.sync.*` of a recording or a folder: one plain value each, the same names in every view.
public enum StatusAttributes {
  /// What stands before each name in the mount.
  public static let prefix = "user.sync."

  /// In the order in which they are listed and printed; `json` repeats all the others.
  public static let names = [
    "status", "badge", "progress", "session", "recording", "bytes_written", "bytes_synced", "synced_through",
    "chunks_total", "chunks_synced", "lag_seconds", "last_synced_at", "error", "destination", "sha256", "priority",
    "hold", "stalled_seconds", "json"
  ]

  /// Those that a person may set; setting another succeeds and changes nothing, so that `cp -a` works.
  public static let settableNames: Set<String> = ["priority", "hold"]

  /// The value of one attribute; nil when there is none now (not listed, ENODATA) or no such name.
  /// A folder has no session, no `synced_through` and no digest: these cannot be summed.
  public static func value(_ name: String, of status: RecordingStatus) -> String? {
    switch name {
    case "status": status.state.rawValue
    case "badge": Badge(of: status).text
    case "progress": String(status.progress)
    case "session": status.session?.description
    case "recording": status.isRecording ? "1" : "0"
    case "bytes_written": String(status.bytesWritten)
    case "bytes_synced": String(status.bytesSynced)
    case "synced_through": status.session == nil ? nil : String(status.syncedThrough)
    case "chunks_total": String(status.chunksTotal)
    case "chunks_synced": String(status.chunksSynced)
    case "lag_seconds": Decimals.text(max(0, status.lagSeconds), places: 1)
    case "last_synced_at": status.lastSyncedAt.map(Timestamp.text)
    case "error": status.error
    case "destination": status.destination
    case "sha256": status.sha256
    case "priority": status.priority
    case "hold": status.isHeld ? "1" : "0"
    case "stalled_seconds": status.stalledSeconds.map { Decimals.text($0, places: 1) }
    case "json": json(of: status)
    default: nil
    }
  }

  /// Names that `status` has a value for, in the fixed order.
  public static func listed(of status: RecordingStatus) -> [String] {
    names.filter { name in
      switch name {
      case "session", "synced_through": status.session != nil
      case "last_synced_at": status.lastSyncedAt != nil
      case "error": status.error != nil
      case "sha256": status.sha256 != nil
      case "stalled_seconds": status.stalledSeconds != nil
      default: true
      }
    }
  }

  /// One JSON object on one line: what `user.sync.json` holds, and each element of `.status/sessions.json`.
  public static func json(of status: RecordingStatus) -> String {
    var json = JSONText()
    json.beginObject()
    json.add("schema_version", schemaVersion)
    add(status, to: &json)
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }

  /// Raised when a field changes its meaning or goes away; new fields do not raise it.
  public static let schemaVersion = 1

  /// Adds all members of `status` to an object that is open.
  static func add(_ status: RecordingStatus, to json: inout JSONText) {
    json.add("path", status.pathText)
    if !status.path.isValidUTF8 { json.add("path_base64", Base64.text(status.path)) }
    json.add("status", status.state.rawValue)
    json.add("badge", Badge(of: status).text)
    json.add("progress", status.progress)
    json.add("session", optional: status.session?.description)
    json.add("recordings", status.recordings)
    json.add("recording", status.isRecording)
    json.add("bytes_written", status.bytesWritten)
    json.add("bytes_synced", status.bytesSynced)
    if status.session != nil { json.add("synced_through", status.syncedThrough) }
    json.add("chunks_total", status.chunksTotal)
    json.add("chunks_synced", status.chunksSynced)
    json.add("lag_seconds", max(0, status.lagSeconds))
    json.add("last_synced_at", optional: status.lastSyncedAt.map(Timestamp.text))
    json.add("error", optional: status.error)
    json.add("destination", status.destination)
    if !status.destinations.isEmpty { add(status.destinations, to: &json) }
    json.add("sha256", optional: status.sha256)
    json.add("priority", status.priority)
    json.add("hold", status.isHeld)
    if let seconds = status.stalledSeconds { json.add("stalled_seconds", seconds) }
  }
}

extension StatusAttributes {
  private static func add(_ shares: [DestinationShare], to json: inout JSONText) {
    json.beginArray("destinations")
    for share in shares {
      json.beginObject()
      json.add("destination", share.name)
      json.add("status", share.state.rawValue)
      json.add("badge", share.badge.text)
      json.add("progress", share.progress)
      json.add("bytes_synced", share.bytesSynced)
      json.add("synced_through", share.syncedThrough)
      json.add("chunks_synced", share.chunksSynced)
      json.add("last_synced_at", optional: share.lastSyncedAt.map(Timestamp.text))
      json.add("error", optional: share.error)
      json.endObject()
    }
    json.endArray()
  }
}

extension [UInt8] {
  var isValidUTF8: Bool { String(validating: self, as: UTF8.self) != nil }
}

/// RFC 4648, with padding.
enum Base64 {
  static func text(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<Swift.min(start + 3, bytes.count)]
      var word: UInt32 = 0
      for byte in group { word = word << 8 | UInt32(byte) }
      word <<= UInt32(8 * (3 - group.count))
      for position in 0..<4 {
        let index = Int(word >> UInt32(18 - 6 * position) & 63)
        out.append(position <= group.count ? alphabet[index] : UInt8(ascii: "="))
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}

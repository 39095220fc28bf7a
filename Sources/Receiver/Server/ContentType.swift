import Hummingbird

/// What a browser is told a recording is: by its name's ending, never by its bytes.
enum ContentType {
  static func of(_ name: EntryName) -> String {
    let text = name.description
    guard let dot = text.lastIndex(of: "."), dot != text.startIndex else { return fallback }
    let ending = text[text.index(after: dot)...].lowercased()
    return recorded[ending] ?? fallback
  }

  /// Offered for download: nothing here may run in a browser, so HTML, SVG and scripts are not listed.
  private static let fallback = "application/octet-stream"

  private static let recorded = [
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska", "webm": "video/webm",
    "ts": "video/mp2t", "mts": "video/mp2t", "m2ts": "video/mp2t", "avi": "video/x-msvideo", "flv": "video/x-flv",
    "ogv": "video/ogg", "mpg": "video/mpeg", "mpeg": "video/mpeg", "wav": "audio/wav", "flac": "audio/flac",
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "ogg": "audio/ogg", "oga": "audio/ogg",
    "opus": "audio/ogg", "aiff": "audio/aiff", "aif": "audio/aiff", "mka": "audio/x-matroska", "jpg": "image/jpeg",
    "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp",
    "txt": "text/plain; charset=utf-8", "log": "text/plain; charset=utf-8", "srt": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8", "json": "application/json", "pcap": "application/vnd.tcpdump.pcap",
  ]
}

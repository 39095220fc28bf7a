public import UploadProtocol

/// What a line of `.status/control` asks for.
public enum ControlRequest: Sendable, Equatable {
  /// The original's PROCESS_UPLOADS: forget delays and look at once. `force` also cancels what is on its way, frees
  /// its leases, and tries failed sessions again.
  case processUploads(ControlTarget, force: Bool)
  case pause(ControlTarget)
  case resume(ControlTarget)
  /// Do not upload this recording until it is released.
  case hold(ControlTarget)
  case release(ControlTarget)
  case prioritize(PriorityLevel, ControlTarget)
  /// Bytes a second over all transfers; nil lifts the limit.
  case limit(bytesPerSecond: Int?)
  /// Seal what is still open and send it at once, without waiting for the lag or settle time.
  case flush(ControlTarget)
  /// Give up the local bytes of stored chunks now.
  case evict(ControlTarget)
  /// Change the worker for a new one under the running recorders.
  case restart
}

public enum ControlTarget: Sendable, Equatable {
  case all
  case session(SessionID)
  /// Bytes of a path below the mount's root, without a leading slash; a folder means all that is below it.
  case path([UInt8])
}

public enum PriorityLevel: String, Sendable, CaseIterable {
  case low, normal, high
}

/// Reads the lines written to `.status/control`, and writes the same lines for the commands of `reelfs`.
public enum ControlText {
  /// A line holds a word or two and a path (PATH_MAX is 4,096).
  public static let lineBytesMax = 4_096 + 64
  /// One write is one batch: more lines than this is a mistake.
  public static let linesMax = 1_000

  /// All lines of one write, in order; blank lines and lines that begin with `#` are left out. When one line is wrong
  /// none counts, so that a batch is never carried out by half.
  public static func parse(_ bytes: [UInt8]) throws(TextError) -> [ControlRequest] {
    var requests: [ControlRequest] = []
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    guard lines.count <= linesMax + 1 else { throw TextError("more than \(linesMax) lines at once") }
    for (index, line) in lines.enumerated() {
      do throws(TextError) {
        if let request = try parseLine(Array(line)) { requests.append(request) }
      } catch {
        throw TextError(lines.count > 2 ? "line \(index + 1): \(error.message)" : error.message)
      }
    }
    return requests
  }

  /// One line without its newline; nil for a comment or a blank line.
  public static func parseLine(_ line: [UInt8]) throws(TextError) -> ControlRequest? {
    guard line.count <= lineBytesMax else { throw TextError("a line of more than \(lineBytesMax) bytes") }
    var rest = ControlWords(line)
    guard let command = rest.word(), !command.hasPrefix("#") else { return nil }
    switch command {
    case "process-uploads": return .processUploads(force: rest.takes("force"), target: try rest.target())
    case "retry": return .processUploads(force: rest.takes("--force"), target: try rest.target())
    case "pause": return .pause(try rest.target())
    case "resume": return .resume(try rest.target())
    case "hold": return .hold(try rest.requiredTarget(command))
    case "release": return .release(try rest.requiredTarget(command))
    case "flush": return .flush(try rest.target())
    case "evict": return .evict(try rest.target())
    case "priority": return .prioritize(try rest.level(), try rest.requiredTarget(command))
    case "limit":
      guard let rate = rest.word() else { throw TextError("limit needs a rate such as 2M, or off") }
      try rest.end(command)
      return .limit(bytesPerSecond: try ByteSize.parseRate(rate))
    case "restart":
      try rest.end(command)
      return .restart
    default:
      throw TextError("unknown command \"\(PrintableText.line(command))\"; known are \(commands)")
    }
  }

  /// The line that `parseLine` reads back as `request`, without a newline; nil when a path cannot stand in a line.
  public static func line(_ request: ControlRequest) -> [UInt8]? {
    switch request {
    case .processUploads(let target, let force): joined(force ? "process-uploads force" : "process-uploads", target)
    case .pause(let target): joined("pause", target)
    case .resume(let target): joined("resume", target)
    case .hold(let target): joined("hold", target)
    case .release(let target): joined("release", target)
    case .prioritize(let level, let target): joined("priority " + level.rawValue, target)
    case .limit(let rate): Array("limit \(rate.map { String($0) } ?? "off")".utf8)
    case .flush(let target): joined("flush", target)
    case .evict(let target): joined("evict", target)
    case .restart: Array("restart".utf8)
    }
  }

  private static let commands =
    "process-uploads [force], pause, resume, retry, hold, release, priority, limit, flush, evict, restart"

  private static func joined(_ words: String, _ target: ControlTarget) -> [UInt8]? {
    switch target {
    case .all: return Array(words.utf8)
    case .session(let session): return Array("\(words) \(session)".utf8)
    case .path(let path):
      guard !path.isEmpty else { return Array(words.utf8) }
      guard !path.contains(UInt8(ascii: "\n")) else { return nil }
      // With "./" in front a path is never taken for a session id, a keyword or a leading blank.
      let line = Array((words + " ./").utf8) + path
      return line.count <= lineBytesMax ? line : nil
    }
  }
}

extension ControlRequest {
  fileprivate static func processUploads(force: Bool, target: ControlTarget) -> ControlRequest {
    .processUploads(target, force: force)
  }
}

/// Takes a line apart: words from the front, and the rest as a path.
private struct ControlWords {
  private var rest: ArraySlice<UInt8>

  init(_ line: [UInt8]) {
    rest = line[...]
    if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
    skipBlanks()
  }

  mutating func word() -> String? {
    let word = rest.prefix { !Self.isBlank($0) }
    guard !word.isEmpty else { return nil }
    rest = rest.dropFirst(word.count)
    skipBlanks()
    return String(decoding: word, as: UTF8.self)
  }

  /// Takes the next word if it is `keyword`.
  mutating func takes(_ keyword: String) -> Bool {
    var ahead = self
    guard ahead.word() == keyword else { return false }
    self = ahead
    return true
  }

  mutating func level() throws(TextError) -> PriorityLevel {
    guard let level = word().flatMap(PriorityLevel.init(rawValue:)) else {
      throw TextError("priority needs a level, low, normal or high, and a path")
    }
    return level
  }

  func requiredTarget(_ command: String) throws(TextError) -> ControlTarget {
    guard !rest.isEmpty else { throw TextError("\(command) needs a path or a session id") }
    return try target()
  }

  /// The rest of the line, verbatim: a session id, or a path below the mount's root.
  func target() throws(TextError) -> ControlTarget {
    guard !rest.isEmpty else { return .all }
    if let session = SessionID(text: String(decoding: rest, as: UTF8.self)) { return .session(session) }
    var components: [ArraySlice<UInt8>] = []
    for component in rest.split(separator: UInt8(ascii: "/")) where !component.elementsEqual(".".utf8) {
      guard !component.elementsEqual("..".utf8) else { throw TextError("a path must not contain ..") }
      guard !component.contains(0) else { throw TextError("a path must not contain NUL") }
      components.append(component)
    }
    return components.isEmpty ? .all : .path(Array(components.joined(separator: [UInt8(ascii: "/")])))
  }

  func end(_ command: String) throws(TextError) {
    guard rest.isEmpty else { throw TextError("\(command) takes nothing after that") }
  }

  private mutating func skipBlanks() { rest = rest.drop(while: Self.isBlank) }
  private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

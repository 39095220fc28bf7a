import UploadCore
import UploadProtocol

/// What the journal remembers of one session's uploads on a tus server, as `TusUpload`.
struct TusMemory {
  var headChunks = 0
  var url: Int?
  var appended = 0
  var length: Int64?
  var begun = Begun(start: 0, versions: [])
  var head: Part?
  var whole: Part?
  var final: Final?

  struct Begun {
    var start: Int
    var versions: [UInt32]
  }

  struct Part {
    var versions: [UInt32]
    var url: Int
  }

  struct Final {
    var revision: Int64
    var url: Int
  }

  enum Name {
    static let headChunks = "tus.head_chunks"
    static let url = "tus.upload"
    static let appended = "tus.appended"
    static let length = "tus.length"
    static let begun = "tus.begun"
    static let head = "tus.head"
    static let whole = "tus.whole"
    static let final = "tus.final"
  }

  init(_ facts: [String: String]) {
    headChunks = facts[Name.headChunks].flatMap { Int($0) } ?? 0
    url = facts[Name.url].flatMap { Int($0) }
    appended = facts[Name.appended].flatMap { Int($0) } ?? headChunks
    length = facts[Name.length].flatMap { Int64($0) }
    if let (word, rest) = Self.split(facts[Name.begun]), let start = Int(word) {
      begun = Begun(start: start, versions: Self.versions(rest))
    }
    head = Self.part(facts[Name.head])
    whole = Self.part(facts[Name.whole])
    if let (word, rest) = Self.split(facts[Name.final]), let revision = Int64(word), let url = Int(rest) {
      final = Final(revision: revision, url: url)
    }
  }

  static func created(_ url: Int, headChunks: Int) -> [RemoteFact] {
    forgotten + [
      RemoteFact(Name.url, String(url)), RemoteFact(Name.headChunks, String(headChunks)),
      RemoteFact(Name.appended, String(headChunks)),
    ]
  }

  /// The upload under way is of no use any more; what was completed earlier stays known.
  static var forgotten: [RemoteFact] {
    [Name.headChunks, Name.url, Name.appended, Name.length, Name.begun, Name.head, Name.whole].map { RemoteFact($0, nil) }
  }

  static func appended(_ index: Int) -> RemoteFact { RemoteFact(Name.appended, String(index)) }
  static func length(_ bytes: Int64) -> RemoteFact { RemoteFact(Name.length, String(bytes)) }
  static func begun(_ begun: Begun) -> RemoteFact { RemoteFact(Name.begun, "\(begun.start) \(text(begun.versions))") }
  static func head(_ part: Part) -> RemoteFact { RemoteFact(Name.head, "\(text(part.versions)) \(part.url)") }
  static func whole(_ part: Part) -> RemoteFact { RemoteFact(Name.whole, "\(text(part.versions)) \(part.url)") }
  static func final(_ final: Final) -> RemoteFact { RemoteFact(Name.final, "\(final.revision) \(final.url)") }

  private static func part(_ text: String?) -> Part? {
    guard let (word, rest) = split(text), let url = Int(rest) else { return nil }
    return Part(versions: versions(word), url: url)
  }

  private static func text(_ versions: [UInt32]) -> String { versions.map(String.init).joined(separator: ",") }
  private static func versions(_ text: String) -> [UInt32] { text.split(separator: ",").compactMap { UInt32($0) } }

  private static func split(_ text: String?) -> (String, String)? {
    guard let text, let space = text.firstIndex(of: " ") else { return nil }
    return (String(text[..<space]), String(text[text.index(after: space)...]))
  }
}

/// What a process knows of the server without asking again; lost with it. As `TusDestination.Memory`.
final class TusProcess {
  private let capabilities: SimulatedTusServer.Capabilities
  let headChunks: Int
  private let runChunksMax: Int
  var defersInNameOnly = false
  /// Where the next byte goes, by upload: only after an answer that said so.
  var offsets: [Int: Int64] = [:]

  init(_ capabilities: SimulatedTusServer.Capabilities, headChunks: Int, runChunksMax: Int) {
    self.capabilities = capabilities
    self.headChunks = headChunks
    self.runChunksMax = runChunksMax
  }

  var defersLength: Bool { (capabilities.defersLength || capabilities.wantsLength) && !defersInNameOnly }
  var joins: Bool { capabilities.joins && defersLength }
  var terminates: Bool { capabilities.terminates }

  var geometry: TransferGeometry {
    .appended(headChunks: joins ? headChunks : 0, runChunksMax: runChunksMax, waitsForClose: !defersLength)
  }
}

import UploadCore
import UploadProtocol

/// What the journal remembers of one session's uploads on a tus server, and how it is written there.
struct TusUpload {
  /// Chunks that travel with the completion, as decided when the upload was created.
  var headChunks = 0
  /// Where bytes from `headChunks` on are appended; nil: nothing is created yet.
  var url: String?
  /// Chunks before this one are in it, by its receipts.
  var appended = 0
  /// Bytes it was declared to have; it takes no more then.
  var length: Int64?
  /// The run that was begun at `appended`: what an offset inside it means.
  var begun = Begun(start: 0, versions: [])
  /// The upload of the head, to be joined.
  var head: Part?
  /// The upload of a recording that is all head: a partial one would never be a recording there, nor this one be joined.
  var whole: Part?
  /// The whole recording, and the revision that it was.
  var final: Final?

  struct Begun: Equatable {
    var start: Int
    var versions: [UInt32]

    func version(of index: Int) -> UInt32? {
      let place = index - start
      return versions.indices.contains(place) ? versions[place] : nil
    }
  }

  struct Part: Equatable {
    var versions: [UInt32]
    var url: String
  }

  struct Final: Equatable {
    var revision: Int64
    var url: String
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
    url = facts[Name.url]
    appended = facts[Name.appended].flatMap { Int($0) } ?? headChunks
    length = facts[Name.length].flatMap { Int64($0) }
    if let (word, rest) = Self.split(facts[Name.begun]), let start = Int(word) {
      begun = Begun(start: start, versions: Self.versions(rest))
    }
    head = Self.part(facts[Name.head])
    whole = Self.part(facts[Name.whole])
    if let (word, rest) = Self.split(facts[Name.final]), let revision = Int64(word) {
      final = Final(revision: revision, url: rest)
    }
  }

  static func created(_ url: String, headChunks: Int) -> [RemoteFact] {
    forgotten + [
      RemoteFact(Name.url, url), RemoteFact(Name.headChunks, String(headChunks)),
      RemoteFact(Name.appended, String(headChunks)),
    ]
  }

  /// The upload under way is of no use any more; what was completed earlier stays known.
  static var forgotten: [RemoteFact] {
    [Name.headChunks, Name.url, Name.appended, Name.length, Name.begun, Name.head, Name.whole].map { RemoteFact($0, nil) }
  }

  static func appended(_ index: Int) -> RemoteFact { RemoteFact(Name.appended, String(index)) }
  static func length(_ bytes: Int64) -> RemoteFact { RemoteFact(Name.length, String(bytes)) }
  static func begun(_ begun: Begun) -> RemoteFact {
    RemoteFact(Name.begun, "\(begun.start) \(text(begun.versions))")
  }
  static func head(_ part: Part) -> RemoteFact { RemoteFact(Name.head, "\(text(part.versions)) \(part.url)") }
  static func whole(_ part: Part) -> RemoteFact { RemoteFact(Name.whole, "\(text(part.versions)) \(part.url)") }
  static func final(_ final: Final) -> RemoteFact { RemoteFact(Name.final, "\(final.revision) \(final.url)") }

  private static func part(_ text: String?) -> Part? {
    split(text).map { word, rest in Part(versions: versions(word), url: rest) }
  }

  private static func text(_ versions: [UInt32]) -> String { versions.map(String.init).joined(separator: ",") }
  private static func versions(_ text: String) -> [UInt32] { text.split(separator: ",").compactMap { UInt32($0) } }

  private static func split(_ text: String?) -> (String, String)? {
    guard let text, let space = text.firstIndex(of: " ") else { return nil }
    return (String(text[..<space]), String(text[text.index(after: space)...]))
  }
}

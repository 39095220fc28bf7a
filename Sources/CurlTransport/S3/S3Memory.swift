import Crypto
import S3Protocol
import UploadCore
import UploadProtocol

/// What the journal remembers of one recording at an S3 store, and how it is written there.
struct S3Memory {
  /// The multipart upload under way, and how it cuts the recording.
  var upload: (upload: S3Upload, plan: String)?
  /// Parts by number, of this upload or of the one that the object was put together from.
  var parts: [Int: Part] = [:]
  /// The object as it was completed last.
  var object: Object?

  struct Part: Equatable {
    /// The upload that it belongs to; `whole` for an object sent by one PUT.
    var upload: String
    var etag: String
    /// Which versions of which chunks it is made of.
    var signature: String
  }

  struct Object: Equatable {
    var revision: Int64
    var size: Int64
    /// Empty when the server gave none.
    var etag: String
    var upload: String
    var plan: String
    var key: S3Key
  }

  enum Name {
    static let upload = "s3.upload"
    static let object = "s3.object"
    static let part = "s3.part."
  }

  static let whole = "whole"
  /// In place of an object's plan: the store refused to copy from it.
  static let notCopied = "-"

  init(_ facts: [String: String]) {
    for (name, value) in facts {
      let words = value.split(separator: " ").map(String.init)
      switch name {
      case Name.upload where words.count == 3:
        if let key = Self.key(words[1]) { upload = (S3Upload(key: key, id: words[2]), words[0]) }
      case Name.object where words.count == 6:
        guard let revision = Int64(words[0]), let size = Int64(words[1]), let key = Self.key(words[5]) else { continue }
        object = Object(
          revision: revision, size: size, etag: words[2] == "-" ? "" : words[2], upload: words[3], plan: words[4], key: key)
      default:
        guard name.hasPrefix(Name.part), let number = Int(name.dropFirst(Name.part.count)), words.count == 3 else { continue }
        parts[number] = Part(upload: words[0], etag: words[1], signature: words[2])
      }
    }
  }

  static func fact(_ upload: S3Upload, plan: String) -> RemoteFact {
    RemoteFact(Name.upload, "\(plan) \(text(upload.key)) \(upload.id)")
  }

  static func fact(_ number: Int, _ part: Part) -> RemoteFact {
    RemoteFact(Name.part + String(number), "\(part.upload) \(part.etag) \(part.signature)")
  }

  static func fact(_ object: Object) -> RemoteFact {
    let etag = object.etag.isEmpty ? "-" : object.etag
    return RemoteFact(
      Name.object, "\(object.revision) \(object.size) \(etag) \(object.upload) \(object.plan) \(text(object.key))")
  }

  /// Short and without spaces, whatever the server calls its uploads.
  static func tag(_ upload: S3Upload) -> String { String(Hex.text(SHA256.hash(data: Array(upload.id.utf8))).prefix(16)) }

  /// Which versions of which chunks a part consists of.
  static func signature(_ chunks: some Sequence<(index: Int, version: ChunkVersion)>) -> String {
    let text = chunks.map { "\($0.index):\($0.version.number)" }.joined(separator: ",")
    return String(Hex.text(SHA256.hash(data: Array(text.utf8))).prefix(32))
  }

  /// The upload under way is of no use any more.
  var forgotten: [RemoteFact] {
    guard let upload else { return [RemoteFact(Name.upload, nil)] }
    let tag = Self.tag(upload.upload)
    return [RemoteFact(Name.upload, nil)]
      + parts.filter { $0.value.upload == tag }.keys.sorted().map { RemoteFact(Name.part + String($0), nil) }
  }

  private static func text(_ key: S3Key) -> String { PercentEncoding.component(key.bytes) }
  private static func key(_ text: String) -> S3Key? { PercentEncoding.decoded(text).flatMap { try? S3Key($0) } }
}

import UploadCore
import UploadProtocol

/// What the journal remembers of one recording at a store, as `S3Memory`.
struct StoreMemory {
  struct Upload {
    var id: Int
    var key: [UInt8]
  }

  struct Part {
    var upload: Int
    var etag: UInt64
    var signature: String
  }

  struct Object {
    var revision: Int64
    var size: Int64
    var etag: UInt64
    var upload: Int
    var key: [UInt8]
  }

  enum Name {
    static let upload = "s3.upload"
    static let object = "s3.object"
    static let part = "s3.part."
  }

  /// In place of an upload: the object was sent by one PUT.
  static let whole = 0
  /// Instead of an object's upload: it cannot be copied from.
  static let notCopied = -1

  var upload: Upload?
  var parts: [Int: Part] = [:]
  var object: Object?

  init(_ facts: [String: String]) {
    for (name, value) in facts {
      let words = value.split(separator: " ")
      switch name {
      case Name.upload: upload = Upload(id: Int(words[0])!, key: Array(words[1].utf8))
      case Name.object:
        object = Object(
          revision: Int64(words[0])!, size: Int64(words[1])!, etag: UInt64(words[2])!, upload: Int(words[3])!,
          key: Array(words[4].utf8))
      default:
        guard name.hasPrefix(Name.part), let number = Int(name.dropFirst(Name.part.count)) else { continue }
        parts[number] = Part(
          upload: Int(words[0])!, etag: UInt64(words[1])!, signature: words.count > 2 ? String(words[2]) : "")
      }
    }
  }

  static func fact(_ upload: Upload) -> RemoteFact {
    RemoteFact(Name.upload, "\(upload.id) \(String(decoding: upload.key, as: UTF8.self))")
  }

  static func fact(_ number: Int, _ part: Part) -> RemoteFact {
    RemoteFact(Name.part + String(number), "\(part.upload) \(part.etag) \(part.signature)")
  }

  static func fact(_ object: Object) -> RemoteFact {
    RemoteFact(
      Name.object,
      "\(object.revision) \(object.size) \(object.etag) \(object.upload) \(String(decoding: object.key, as: UTF8.self))")
  }

  /// Which versions of which chunks a part consists of.
  static func signature(_ chunks: some Sequence<(index: Int, version: ChunkVersion)>) -> String {
    chunks.map { "\($0.index):\($0.version.number)" }.joined(separator: ",")
  }

  /// The upload under way is of no use any more.
  var forgotten: [RemoteFact] {
    guard let upload else { return [RemoteFact(Name.upload, nil)] }
    return [RemoteFact(Name.upload, nil)]
      + parts.filter { $0.value.upload == upload.id }.keys.sorted().map { RemoteFact(Name.part + String($0), nil) }
  }
}

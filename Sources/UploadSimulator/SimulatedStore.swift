import UploadCore
import UploadProtocol

enum StoreRequest {
  case createUpload(key: [UInt8], SessionID)
  case uploadPart(Int, upload: Int, SimulatedStore.Part)
  case copyPart(Int, upload: Int, from: [UInt8], chunks: Range<Int>, ifMatch: UInt64)
  case completeUpload(Int, [(number: Int, etag: UInt64)])
  case abortUpload(Int)
  case putObject(key: [UInt8], SessionID, SimulatedStore.Part)
  case headObject(key: [UInt8])
}

/// An S3-compatible store: durable at once; the last write of a part or of an object wins.
struct SimulatedStore {
  /// Chunks one after the other, the first of which is chunk `first` of the recording.
  struct Part {
    var first: Int
    var digests: [ChunkDigest]

    var bytes: Int { digests.reduce(0) { $0 + SimulatedFile.byteCount(of: $1) } }
    /// As an MD5: of the same bytes the same.
    var etag: UInt64 {
      digests.reduce(0xCBF2_9CE4_8422_2325) { hash, digest in
        digest.bytes.prefix(16).reduce(hash) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
      }
    }
  }

  struct Object {
    var session: SessionID
    var etag: UInt64
    var digests: [ChunkDigest]
    var size: Int64 { digests.reduce(0) { $0 + Int64(SimulatedFile.byteCount(of: $1)) } }
  }

  private struct Upload {
    var session: SessionID
    var key: [UInt8]
    var parts: [Int: Part] = [:]
  }

  private var uploads: [Int: Upload] = [:]
  private(set) var objects: [[UInt8]: Object] = [:]
  private var created = 0
  /// Every chunk that ever arrived as part of something, until it is forgotten.
  private var arrived: [ChunkID: Set<ChunkDigest>] = [:]

  /// A part may have been overwritten since: completing looks at all of them.
  func hasTaken(_ chunk: ChunkID, _ digest: ChunkDigest) -> Bool { arrived[chunk]?.contains(digest) == true }

  static func etag(ofParts etags: [UInt64]) -> UInt64 {
    etags.reduce(0x9E37_79B9_7F4A_7C15) { ($0 ^ $1) &* 0x100_0000_01B3 } &+ UInt64(etags.count)
  }

  mutating func answer(_ request: StoreRequest) -> ServerAnswer {
    switch request {
    case .createUpload(let key, let session):
      created += 1
      uploads[created] = Upload(session: session, key: key)
      return .upload(created)
    case .uploadPart(let number, let id, let part):
      guard let upload = uploads[id] else { return .refused(.uploadGone) }
      uploads[id]?.parts[number] = part
      took(part, upload.session)
      return .etag(part.etag)
    case .copyPart(let number, let id, let key, let chunks, let etag): return copy(number, id, key, chunks, etag)
    case .completeUpload(let id, let parts): return complete(id, parts)
    case .abortUpload(let id):
      guard uploads.removeValue(forKey: id) != nil else { return .refused(.uploadGone) }
      return .done
    case .putObject(let key, let session, let part):
      took(part, session)
      objects[key] = Object(session: session, etag: part.etag, digests: part.digests)
      return .etag(part.etag)
    case .headObject(let key):
      guard let object = objects[key] else { return .refused(.objectMissing) }
      return .object(etag: object.etag, size: object.size)
    }
  }

  private mutating func copy(
    _ number: Int, _ id: Int, _ key: [UInt8], _ chunks: Range<Int>, _ etag: UInt64
  ) -> ServerAnswer {
    guard let upload = uploads[id] else { return .refused(.uploadGone) }
    guard let object = objects[key] else { return .refused(.objectMissing) }
    guard object.etag == etag, chunks.upperBound <= object.digests.count else { return .refused(.objectChanged) }
    let part = Part(first: chunks.lowerBound, digests: Array(object.digests[chunks]))
    uploads[id]?.parts[number] = part
    took(part, upload.session)
    return .etag(part.etag)
  }

  private mutating func complete(_ id: Int, _ parts: [(number: Int, etag: UInt64)]) -> ServerAnswer {
    guard let upload = uploads[id] else { return .refused(.uploadGone) }
    guard parts.allSatisfy({ upload.parts[$0.number]?.etag == $0.etag }) else { return .refused(.partsDisagree) }
    let digests = parts.flatMap { upload.parts[$0.number]?.digests ?? [] }
    let etag = Self.etag(ofParts: parts.map(\.etag))
    objects[upload.key] = Object(session: upload.session, etag: etag, digests: digests)
    uploads[id] = nil
    return .etag(etag)
  }

  private mutating func took(_ part: Part, _ session: SessionID) {
    for (place, digest) in part.digests.enumerated() {
      arrived[ChunkID(session, part.first + place), default: []].insert(digest)
    }
  }

  // MARK: Faults

  /// A lifecycle rule, or somebody, ended what was under way.
  mutating func forgetUploads(of session: SessionID) {
    uploads = uploads.filter { $0.value.session != session }
  }

  /// Somebody deleted the object.
  mutating func forgetObjects(of session: SessionID) {
    objects = objects.filter { $0.value.session != session }
  }
}

extension SimulatedFile {
  /// The length that `digest` was made of.
  static func byteCount(of digest: ChunkDigest) -> Int {
    digest.bytes[8..<16].reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}

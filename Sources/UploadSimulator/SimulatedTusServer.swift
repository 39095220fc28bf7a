import UploadCore
import UploadProtocol

enum TusRequest {
  case create(SessionID, length: Int64?, isPartial: Bool)
  case head(Int)
  /// - length: what the upload is declared to be long with this.
  case append(Int, at: Int64, SimulatedTusServer.Bytes, length: Int64?)
  case join(SessionID, [Int])
  case terminate(Int)
}

/// A tus 1.0 server: bytes are appended to uploads, of one request for each at a time.
struct SimulatedTusServer {
  /// Bytes `range` of the recording, whose chunks from the one at `first` on have these digests.
  struct Bytes {
    var first: Int
    var digests: [ChunkDigest]
    var range: Range<Int64>

    var count: Int { Int(range.upperBound - range.lowerBound) }

    func prefix(_ bytes: Int64) -> Bytes {
      Bytes(first: first, digests: digests, range: range.lowerBound..<range.lowerBound + min(bytes, Int64(count)))
    }
  }

  struct Capabilities {
    var joins: Bool
    var defersLength: Bool
    /// It offers deferred lengths, and then wants the length with the first byte all the same.
    var wantsLength: Bool
    var terminates: Bool
    /// Of a PATCH it takes so many bytes; the rest must be sent again.
    var appendMax: Int64
  }

  /// What lies in an upload: bytes `range` of chunk `index` that has this digest.
  private struct Piece {
    var index: Int
    var digest: ChunkDigest
    var range: Range<Int64>
  }

  private struct Upload {
    var session: SessionID
    var length: Int64?
    var isPartial: Bool
    var pieces: [Piece] = []
    var offset: Int64 { pieces.reduce(0) { $0 + ($1.range.upperBound - $1.range.lowerBound) } }
  }

  let capabilities: Capabilities
  private var uploads: [Int: Upload] = [:]
  private var created = 0

  init(_ capabilities: Capabilities) { self.capabilities = capabilities }

  mutating func answer(_ request: TusRequest) -> ServerAnswer {
    switch request {
    case .create(let session, let length, let isPartial):
      guard length != nil || capabilities.defersLength || capabilities.wantsLength else { return .failed(.rejected("400")) }
      created += 1
      uploads[created] = Upload(session: session, length: length, isPartial: isPartial)
      return .upload(created)
    case .head(let id):
      guard let upload = uploads[id] else { return .refused(.uploadGone) }
      return .found(offset: upload.offset, length: upload.length)
    case .append(let id, let offset, let bytes, let length): return append(id, offset, bytes, length)
    case .join(let session, let parts):
      let found = parts.compactMap { uploads[$0] }
      guard found.count == parts.count, found.allSatisfy({ $0.isPartial && $0.length == $0.offset }) else {
        return .refused(.uploadGone)
      }
      created += 1
      let pieces = found.flatMap(\.pieces)
      uploads[created] = Upload(session: session, length: found.reduce(0) { $0 + $1.offset }, isPartial: false, pieces: pieces)
      return .upload(created)
    case .terminate(let id):
      guard uploads.removeValue(forKey: id) != nil else { return .refused(.uploadGone) }
      return .done
    }
  }

  private mutating func append(_ id: Int, _ offset: Int64, _ bytes: Bytes, _ length: Int64?) -> ServerAnswer {
    guard var upload = uploads[id] else { return .refused(.uploadGone) }
    guard upload.offset == offset else { return .refused(.wrongOffset) }
    // Whole already, whoever was told: as tusd answers.
    if upload.length == offset, bytes.count == 0 { return .offset(offset) }
    if let length {
      guard upload.length == nil, length >= offset else { return .failed(.rejected("400")) }
      upload.length = length
    }
    if capabilities.wantsLength, upload.length == nil { return .refused(.lengthWanted) }
    if let length = upload.length, offset + Int64(bytes.count) > length { return .failed(.rejected("413")) }
    upload.pieces += Self.pieces(bytes.prefix(capabilities.appendMax))
    uploads[id] = upload
    return .offset(upload.offset)
  }

  /// Cut along the chunks.
  private static func pieces(_ bytes: Bytes) -> [Piece] {
    let chunk = Int64(ChunkLayout.chunkBytes)
    return bytes.digests.enumerated().compactMap { place, digest in
      let start = Int64(bytes.first + place) * chunk
      let range = bytes.range.clamped(to: start..<start + Int64(SimulatedFile.byteCount(of: digest)))
      guard !range.isEmpty else { return nil }
      return Piece(index: bytes.first + place, digest: digest, range: range.lowerBound - start..<range.upperBound - start)
    }
  }

  // MARK: What is there

  /// The digests of chunks that lie in the upload as a whole, in order; nil at the first that is mixed or not where it belongs.
  private func digests(_ pieces: [Piece]) -> [Int: ChunkDigest]? {
    var found: [Int: (digest: ChunkDigest, bytes: Int64)] = [:]
    for piece in pieces {
      let known = found[piece.index] ?? (piece.digest, 0)
      guard known.digest == piece.digest, known.bytes == piece.range.lowerBound else { return nil }
      found[piece.index] = (piece.digest, piece.range.upperBound)
    }
    guard found.allSatisfy({ SimulatedFile.byteCount(of: $0.value.digest) == Int($0.value.bytes) }) else { return nil }
    return found.mapValues(\.digest)
  }

  /// Some upload of the session has this chunk.
  func holds(_ chunk: ChunkID, _ digest: ChunkDigest) -> Bool {
    uploads.values.contains { upload in
      guard upload.session == chunk.session else { return false }
      let pieces = upload.pieces.filter { $0.index == chunk.index }
      return digests(pieces)?[chunk.index] == digest
    }
  }

  /// A finished upload as a recording.
  func recording(_ id: Int) -> SimulatedReceiver.Recording? {
    guard let upload = uploads[id], !upload.isPartial, upload.length == upload.offset, let found = digests(upload.pieces)
    else { return nil }
    let list = (0..<found.count).compactMap { found[$0] }
    return list.count == found.count ? SimulatedReceiver.Recording(size: upload.offset, digests: list) : nil
  }

  // MARK: Faults

  /// They expired, or were deleted.
  mutating func forgetUploads(of session: SessionID) {
    uploads = uploads.filter { $0.value.session != session }
  }

  /// It lost power, and the end of what it had acknowledged with it.
  mutating func rollBack(_ session: SessionID, using generator: inout SplitMix64) {
    for id in uploads.keys.sorted() where uploads[id]?.session == session {
      guard let upload = uploads[id], upload.length != upload.offset, upload.offset > 0 else { continue }
      var rest = Int64.random(in: 0..<upload.offset, using: &generator)
      uploads[id]?.pieces = upload.pieces.compactMap { piece in
        let count = min(rest, piece.range.upperBound - piece.range.lowerBound)
        rest -= count
        guard count > 0 else { return nil }
        return Piece(index: piece.index, digest: piece.digest, range: piece.range.lowerBound..<piece.range.lowerBound + count)
      }
    }
  }
}

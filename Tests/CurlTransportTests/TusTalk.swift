import CurlTransport
import Testing
import UploadCore
import UploadProtocol

/// One recording on its way to a scripted tus server that can defer lengths, join, terminate, and check sums.
final class TusTalk {
  enum Scripted {
    case answer(Int, [String: String] = [:], words: String = "Refused")
    case lost

    static func head(_ offset: Int) -> Scripted { .answer(200, ["upload-offset": String(offset)], words: "") }
    static func stored(to offset: Int) -> Scripted { .answer(204, ["upload-offset": String(offset)], words: "") }
    static func created(_ location: String) -> Scripted { .answer(201, ["location": location], words: "") }

    var result: HTTPResult {
      switch self {
      case .answer(let status, let headers, let words):
        .answered(HTTPAnswer(status: status, headers: headers, body: Array(words.utf8)))
      case .lost: .stalled(.seconds(1))
      }
    }
  }

  private static let session = SessionID(number: 0x1234)
  static let announcement = SessionAnnouncement(
    session: session, facts: SessionFacts(path: Array("takes/one.wav".utf8), inode: 7), metadata: [:])
  let base = "http://tus.example/files/"

  private var destination: TusDestination
  /// What the journal remembers.
  var facts: [String: String]
  var versions: [UInt32]
  var isFinished: Bool
  var isSynced = false
  /// Of the last conversation.
  private(set) var sent: [HTTPRequest] = []
  private(set) var geometry: TransferGeometry?

  /// - Parameter appended: chunks that the upload `tail` has already.
  init(chunks: Int, appended: Int = 5, isFinished: Bool = false) throws {
    let place = try ChunkDestination(baseURL: base, device: "camera", writer: "w", token: nil)
    destination = TusDestination(TusServer(place), policy: UploadPolicy())
    facts = ["tus.head_chunks": "5", "tus.upload": base + "tail", "tus.appended": String(appended)]
    versions = [UInt32](repeating: 1, count: chunks)
    self.isFinished = isFinished
    try probe()
  }

  func probe(and extensions: String = "") throws {
    let offered = "creation,creation-defer-length,concatenation,termination,checksum" + extensions
    let headers = ["tus-version": "1.0.0", "tus-extension": offered, "tus-checksum-algorithm": "sha1,sha256"]
    #expect(try converse(.probe, [.answer(204, headers, words: "")]) == .reachable)
  }

  func begin(at index: Int, versions: [UInt32]) {
    facts["tus.begun"] = "\(index) " + versions.map(String.init).joined(separator: ",")
  }

  func announce(_ answers: [Scripted]) throws -> TransferOutcome { try exchange(.announce(Self.session), answers) }
  func run(_ chunks: Range<Int>, _ answers: [Scripted]) throws -> TransferOutcome {
    try exchange(.run(ChunkRun(Self.session, chunks)), answers)
  }
  func complete(_ answers: [Scripted]) throws -> TransferOutcome { try exchange(.complete(Self.session), answers) }

  /// Of the last request.
  func header(_ name: String) -> String? {
    sent.last?.headers.first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
  }
  var bodyCount: Int? { sent.last?.body?.count }

  func stored(_ chunks: Range<Int>) -> [StoredChunk] {
    chunks.map { StoredChunk(index: $0, version: ChunkVersion(versions[$0]), digest: Self.digest) }
  }

  /// What is to be remembered of a created upload.
  func creation(_ url: String, headChunks: Int = 5) -> [RemoteFact] {
    ["tus.head_chunks", "tus.upload", "tus.appended", "tus.length", "tus.begun", "tus.head", "tus.whole"].map { RemoteFact($0, nil) } + [
      RemoteFact("tus.upload", url), RemoteFact("tus.head_chunks", String(headChunks)),
      RemoteFact("tus.appended", String(headChunks)),
    ]
  }

  // The digest is a stand-in: this side computes none.
  private static let digest = ChunkDigest(bytes: [UInt8](repeating: 7, count: 32))!

  private func exchange(_ request: UploadRequest, _ answers: [Scripted]) throws -> TransferOutcome {
    let versions = versions
    let rows = { @Sendable (range: Range<Int>) in
      range.clamped(to: 0..<versions.count).map {
        ChunkRow(
          index: $0, version: ChunkVersion(versions[$0]), state: .stored, bytes: ChunkLayout.chunkBytes,
          digest: Self.digest)
      }
    }
    let payload = SessionExchange(
      request: request, announcement: Self.announcement, revision: 9,
      size: Int64(versions.count * ChunkLayout.chunkBytes), isFinished: isFinished, isSynced: isSynced, remote: facts,
      rows: { range throws(SourceError) in rows(range) },
      read: { range throws(SourceError) in
        RunSnapshot(
          chunks: rows(range).map { StoredChunk(index: $0.index, version: $0.version, digest: Self.digest) },
          bytes: [UInt8](repeating: 1, count: range.count * ChunkLayout.chunkBytes))
      })
    let outcome = try converse(.exchange(payload), answers)
    switch outcome {
    case .advanced(let new), .rolledBack(_, let new), .runStored(_, let new):
      for fact in new { facts[fact.name] = fact.value }
    default: break
    }
    return outcome
  }

  /// Every answer must be asked for, and nothing beyond.
  private func converse(_ payload: ExchangePayload, _ answers: [Scripted]) throws -> TransferOutcome {
    sent = []
    var step = destination.begin(payload, bytesPerSecondMax: nil)
    var left = answers[...]
    while case .send(let request, let then) = step {
      sent.append(request)
      let answer = try #require(left.first, "\(request.method) \(request.url) was not expected")
      left.removeFirst()
      step = then(answer.result)
    }
    #expect(left.isEmpty, "not everything was asked for")
    switch step {
    case .send: throw Unreachable()
    case .end(let outcome): return outcome
    case .discovered(let geometry, let outcome):
      self.geometry = geometry
      return outcome
    }
  }

  private struct Unreachable: Error {}
}

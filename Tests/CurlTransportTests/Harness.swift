import CurlTransport
import FaultyServer
import Testing
import UploadCore
import UploadProtocol

/// One transport with payloads to send over it.
struct Harness {
  static let session = SessionID(number: 0x1234)
  static let facts = SessionFacts(path: Array("takes/one.wav".utf8), inode: 7)

  let transport: CurlTransport
  let clock = SystemClock()

  init(
    _ url: String, parallel: Int = 4, uploadTimeout: Span = .seconds(20), token: String? = "secret",
    caFile: String? = nil, compresses: ChunkDestination.Compression = .none,
    onUncompressed: @escaping (String) -> Void = { _ in }
  ) throws {
    var destination = try ChunkDestination(
      baseURL: url, device: "camera", writer: "writer-1", token: token, caFile: caFile)
    destination.compresses = compresses
    var policy = UploadPolicy()
    policy.parallel = parallel
    policy.uploadTimeout = uploadTimeout
    transport = try CurlTransport(
      destination: destination, policy: policy, clock: clock, onUncompressed: onUncompressed)
  }

  /// Sends `payload` and waits for its outcome.
  func outcome(of payload: UploadPayload, id: UInt64 = 1, bytesPerSecondMax: Int? = nil) throws -> TransferOutcome {
    start(payload, id: id, bytesPerSecondMax: bytesPerSecondMax)
    return try #require(outcomes(count: 1)[TransferID(id)])
  }

  func start(_ payload: UploadPayload, id: UInt64, bytesPerSecondMax: Int? = nil) {
    let request: UploadRequest =
      switch payload {
      case .announce(let announcement): .announce(announcement.session)
      case .chunk(let chunk): .chunk(chunk.chunk)
      case .complete(let manifest): .complete(manifest.session)
      case .recordings(let batch): .recordings(batch.map(\.announcement.session))
      case .probe: .probe
      }
    transport.start(
      Transfer(id: TransferID(id), request: request, bytesPerSecondMax: bytesPerSecondMax), payload)
  }

  /// Polls until so many transfers have ended, for half a minute at most.
  func outcomes(count: Int) -> [TransferID: TransferOutcome] {
    var result: [TransferID: TransferOutcome] = [:]
    let end = clock.now + .seconds(30)
    while result.count < count, clock.now < end {
      for case .transferred(let id, let outcome) in transport.poll(until: end) { result[id] = outcome }
    }
    return result
  }

  /// Polls until `condition` holds, for half a minute at most. - Returns: whether it does.
  func poll(until condition: () -> Bool) -> Bool {
    let end = clock.now + .seconds(30)
    while !condition() {
      guard clock.now < end else { return false }
      _ = transport.poll(until: clock.now + .milliseconds(5))
    }
    return true
  }

  // MARK: Payloads

  private static let pattern = (0..<ChunkLayout.chunkBytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  static func chunk(_ index: Int = 0, count: Int = ChunkLayout.chunkBytes) -> ChunkPayload {
    // The digest is a stand-in: nothing on this side computes one.
    let digest = ChunkDigest(bytes: (0..<32).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ index) })!
    var bytes = Array(pattern[..<count])
    bytes[0] = UInt8(truncatingIfNeeded: index)
    return ChunkPayload(chunk: ChunkID(session, index), version: ChunkVersion(3), digest: digest, bytes: bytes)
  }

  static let announcement = SessionAnnouncement(session: session, facts: facts, metadata: ["take": Array("1".utf8)])

  static func manifest(chunks: Int = 2) -> RecordingManifest {
    RecordingManifest(
      session: session, facts: facts, revision: 9, size: Int64(chunks * ChunkLayout.chunkBytes),
      digests: (0..<chunks * 32).map { UInt8(truncatingIfNeeded: $0) })
  }

  /// A small recording of its own session.
  static func whole(_ number: Int64, count: Int = 10, metadata: [String: [UInt8]] = [:]) -> WholeRecording {
    let session = SessionID(number: number)
    let chunk = chunk(Int(number), count: count)
    return WholeRecording(
      announcement: SessionAnnouncement(
        session: session, facts: SessionFacts(path: Array("day/take \(number)".utf8), inode: 7), metadata: metadata),
      version: chunk.version, digest: chunk.digest, bytes: chunk.bytes, revision: 5)
  }

  static func stored(_ recording: WholeRecording) -> StoredRecording {
    StoredRecording(
      session: recording.announcement.session, facts: recording.announcement.facts, version: recording.version,
      digest: recording.digest, bytes: recording.bytes.count, revision: recording.revision)
  }

  static func stored(_ chunk: ChunkPayload) -> TransferOutcome {
    .stored(chunk.version, chunk.digest, bytes: chunk.bytes.count)
  }
}

extension TransferOutcome {
  var isUnreachable: Bool { if case .unreachable = self { true } else { false } }
  var isCorrupted: Bool { if case .corrupted = self { true } else { false } }

  /// The sentence of any outcome that has one.
  var words: String {
    switch self {
    case .unreachable(let words), .retryable(let words, _), .throttled(let words, _), .blocked(_, let words),
      .rejected(let words), .corrupted(let words), .unreadable(let words), .notHere(let words):
      words
    case .stored, .runStored, .advanced, .rolledBack, .announced, .completed, .incomplete, .superseded, .sessionUnknown,
      .reachable, .stale, .recordingsStored, .recordingsUntaken:
      ""
    }
  }
}

/// Answers chunks with their receipts, and everything else as a healthy receiver.
func receiver(_ head: RequestHead) -> Behaviour {
  switch (head.method, head.target) {
  case ("GET", "/healthz"): .answer(.json(200, #"{"status":"ok"}"#))
  case ("POST", "/upload/chunk"): .answer(.receipt(for: head))
  case ("PUT", _): .answer(.json(200, #"{"session_id":"sess_0000000000001234","state":"receiving"}"#))
  default:
    .answer(
      .json(200, #"{"session_id":"sess_0000000000001234","size":2097152,"chain":"00","recording":"one.wav"}"#))
  }
}

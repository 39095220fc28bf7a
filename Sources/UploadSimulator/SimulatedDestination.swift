import UploadCore
import UploadProtocol

/// What kind of destination a seed has, and in what pieces it takes recordings.
public enum DestinationKind: Int, Sendable, CaseIterable {
  case chunks, parts, appended

  /// A generator of its own: what else happens in a seed does not depend on it.
  init(seed: UInt64) {
    var generator = SplitMix64(seed: seed ^ 0x5EED_0F_DE57)
    self = [.chunks, .chunks, .parts, .appended][Int.random(in: 0..<4, using: &generator)]
  }
}

/// The destination of one seed. Only the server of its kind is ever asked.
struct SimulatedDestination {
  let kind: DestinationKind
  let layout: PartLayout
  private let capabilities: SimulatedTusServer.Capabilities
  private let headChunks: Int
  let runChunksMax: Int
  var store = SimulatedStore()
  var tus: SimulatedTusServer
  private(set) var process: TusProcess

  /// The numbers of the real ones (16 chunks a part, 5 of a head) would leave most simulated recordings without a middle.
  init(_ kind: DestinationKind, using generator: inout SplitMix64) {
    self.kind = kind
    let size = Int.random(in: 1...3, using: &generator)
    layout = [
      PartLayout(chunksPerPart: size),
      PartLayout([PartLayout.Rung(parts: 2, chunksPerPart: size), PartLayout.Rung(parts: 1, chunksPerPart: size + 2)]),
    ][Int.random(in: 0..<2, using: &generator)]
    let defers = generator.percent(70)
    capabilities = SimulatedTusServer.Capabilities(
      joins: generator.percent(50), defersLength: defers, wantsLength: !defers && generator.percent(50),
      terminates: generator.percent(50), appendMax: [.max, .max, 3_000_000, 200_000][Int.random(in: 0..<4, using: &generator)])
    headChunks = Int.random(in: 1...3, using: &generator)
    runChunksMax = [1, 2, 3, 16][Int.random(in: 0..<4, using: &generator)]
    tus = SimulatedTusServer(capabilities)
    process = TusProcess(capabilities, headChunks: headChunks, runChunksMax: runChunksMax)
  }

  /// As it is known when the uploader starts.
  var geometry: TransferGeometry {
    switch kind {
    case .chunks: .chunks
    case .parts: .parts(layout, wholeChunksMax: wholeChunksMax)
    case .appended: .undiscovered
    }
  }

  var wholeChunksMax: Int { layout.chunks(ofPart: 0).count }

  /// Chunks of the longest request.
  var carriedMax: Int {
    switch kind {
    case .chunks: 1
    case .parts: layout.rungs.map(\.chunksPerPart).max() ?? 1
    case .appended: max(runChunksMax, headChunks)
    }
  }

  /// A new process of ours knows nothing of the server.
  mutating func processStarts() {
    process = TusProcess(capabilities, headChunks: headChunks, runChunksMax: runChunksMax)
  }

  /// What one transfer does first.
  func begin(_ exchange: SimulatedExchange?) -> ExchangeStep {
    guard let exchange else {
      return .send(.probe) { [kind, process] answer in
        if case .failed(let outcome) = answer { return .end(outcome) }
        // What it can do is judged by all that is known when it answers.
        return kind == .appended ? .discovered(process.geometry, .reachable) : .end(.reachable)
      }
    }
    switch kind {
    case .chunks: preconditionFailure("the receiver takes chunks")
    case .parts: return StoreClient(exchange, layout, wholeChunksMax: wholeChunksMax).begin()
    case .appended: return TusClient(exchange, process).begin()
    }
  }

  mutating func answer(_ request: ServerRequest) -> ServerAnswer {
    switch request {
    case .probe: .done
    case .store(let request): store.answer(request)
    case .tus(let request): tus.answer(request)
    }
  }
}

// What is where, for the checker and for readers.
extension SimulatedWorld {
  /// The destination has these very bytes, wherever it keeps them.
  func isHeld(_ chunk: ChunkID, _ version: ChunkVersion, _ digest: ChunkDigest) -> Bool {
    switch destination.kind {
    case .chunks:
      guard let held = receiver.chunk(chunk) else { return false }
      return held.version > version || held == SimulatedReceiver.Chunk(version: version, digest: digest)
    case .parts: return destination.store.hasTaken(chunk, digest)
    case .appended: return destination.tus.holds(chunk, digest)
    }
  }

  /// What a fetch of an evicted chunk gives; nil: nothing, for now.
  func fetchable(_ chunk: ChunkID) -> ChunkDigest? {
    switch destination.kind {
    case .chunks: return receiver.chunk(chunk)?.digest
    case .parts:
      guard let known = StoreMemory(journal.rows.sessions[chunk.session]?.remote ?? [:]).object,
        let object = destination.store.objects[known.key], chunk.index < object.digests.count
      else { return nil }
      return object.digests[chunk.index]
    case .appended: return nil
    }
  }

  /// The whole recording that people see there under this path.
  func recording(of session: SessionID, path: [UInt8]) -> SimulatedReceiver.Recording? {
    switch destination.kind {
    case .chunks: return receiver.sessions[session]?.recording
    case .parts:
      guard let object = destination.store.objects[path], object.session == session else { return nil }
      return SimulatedReceiver.Recording(size: object.size, digests: object.digests)
    case .appended:
      let memory = TusMemory(journal.rows.sessions[session]?.remote ?? [:])
      return memory.final.flatMap { destination.tus.recording($0.url) }
    }
  }
}

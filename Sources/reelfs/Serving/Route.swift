import CurlTransport
import FolderTransport
import Foundation
import Spool
import UploadCore
import UploadProtocol

/// How recordings travel to one kind of destination.
enum Route: Sendable {
  case receiver(ChunkDestination)
  case tus(TusServer)
  case s3(S3Store)
  case folder(FolderStore)

  /// The mount's own destination.
  /// - Parameter baseURL: the receiver's address; for one in this program only known once it listens.
  init(_ configuration: MountConfiguration, state: StateDirectory, baseURL: String) throws {
    try self.init(
      configuration.destination, token: configuration.token, configuration.tokenFile, configuration, state: state,
      baseURL: baseURL)
  }

  /// A further destination.
  init(_ further: FurtherDestination, _ configuration: MountConfiguration, state: StateDirectory) throws {
    try self.init(
      further.destination, token: further.token, further.tokenFile, configuration, state: state,
      baseURL: further.destination.description)
  }

  private init(
    _ destination: Destination, token: String?, _ tokenFile: String?, _ configuration: MountConfiguration,
    state: StateDirectory, baseURL: String
  ) throws {
    func server(_ address: String) throws -> ChunkDestination {
      try ChunkDestination(
        baseURL: address, device: configuration.device, writer: try state.writerID(), token: token,
        caFile: configuration.caFile, rereadToken: { tokenFile.flatMap { try? TokenFile.read($0) } })
    }
    switch destination {
    case .receiver, .embedded:
      var receiver = try server(baseURL)
      if configuration.compression == .zstd { receiver.compresses = .zstd }
      self = .receiver(receiver)
    case .tus(let address): self = .tus(TusServer(try server(address.description)))
    case .s3(let bucket, let prefix, let endpoint):
      self = .s3(
        try S3Route.store(
          bucket: bucket, prefix: prefix, endpoint: endpoint?.description, caFile: configuration.caFile,
          environment: ProcessInfo.processInfo.environment))
    case .folder(let path):
      self = .folder(
        FolderStore(
          folder: path, identity: state.folderIdentity(of: path),
          remember: { state.rememberFolderIdentity($0, of: path) }))
    }
  }

  var geometry: TransferGeometry {
    switch self {
    case .receiver: .chunks
    case .tus: .undiscovered
    case .s3(let store): store.geometry
    case .folder: .chunks
    }
  }

  /// Small recordings that travel whole: where requests cost more than bytes do, and not compressed.
  var wholeBytesMax: Int {
    guard case .receiver(let destination) = self, destination.compresses == .none else { return 0 }
    return 64 << 10
  }

  /// A tus server need not give back what it was sent, an S3 store does once the object is put together.
  var evictionRule: EvictionRule {
    switch self {
    case .receiver: .stored
    case .tus: .never
    case .s3: .synced
    case .folder: .stored
    }
  }

  /// Fetches a stored chunk back. Any thread may call it; it blocks.
  /// - Parameter remote: what the journal remembers of a session.
  func fetcher(
    stallTimeout: Span, remote: @escaping @Sendable (SessionID) throws -> [String: String]
  ) -> @Sendable (ChunkID) throws -> [UInt8] {
    switch self {
    case .receiver(let destination):
      let fetcher = ChunkFetcher(destination: destination, clock: SystemClock(), stallTimeout: stallTimeout)
      return { chunk in
        do { return try fetcher.fetch(chunk) } catch let error as FetchError where error.isMissing { throw SpoolError.missing }
      }
    case .s3(let store):
      let fetcher = S3Fetcher(store, clock: SystemClock(), stallTimeout: stallTimeout)
      return { chunk in
        do { return try fetcher.fetch(chunk, remote: try remote(chunk.session)) } catch let error as FetchError where error.isMissing {
          throw SpoolError.missing
        }
      }
    case .folder(let store):
      let fetcher = FolderFetcher(store)
      return { try fetcher.fetch($0) }
    case .tus:
      return { _ in throw CommandFailure("a tus server does not give bytes back") }
    }
  }
}

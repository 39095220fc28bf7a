import CurlTransport
import Spool
import UploadCore
import UploadProtocol

/// How recordings travel to one kind of destination.
enum Route: Sendable {
  case receiver(ChunkDestination)
  case tus(TusServer)

  /// - Parameter baseURL: the receiver's address; for one in this program only known once it listens.
  init(_ configuration: MountConfiguration, state: StateDirectory, baseURL: String) throws {
    func server(_ address: String) throws -> ChunkDestination {
      try ChunkDestination(
        baseURL: address, device: configuration.device, writer: try state.writerID(), token: configuration.token,
        caFile: configuration.caFile)
    }
    switch configuration.destination {
    case .receiver, .embedded: self = .receiver(try server(baseURL))
    case .tus(let address): self = .tus(TusServer(try server(address.description)))
    case .s3, .folder: throw CommandFailure("\(configuration.destination.description): not built yet")
    }
  }

  var geometry: TransferGeometry {
    switch self {
    case .receiver: .chunks
    case .tus: .undiscovered
    }
  }

  /// A tus server need not give back what it was sent.
  var evictionRule: EvictionRule {
    switch self {
    case .receiver: .stored
    case .tus: .never
    }
  }

  /// Fetches a stored chunk back. Any thread may call it; it blocks.
  func fetcher(stallTimeout: Span) -> @Sendable (ChunkID) throws -> [UInt8] {
    switch self {
    case .receiver(let destination):
      let fetcher = ChunkFetcher(destination: destination, clock: SystemClock(), stallTimeout: stallTimeout)
      return { try fetcher.fetch($0) }
    case .tus:
      return { _ in throw CommandFailure("a tus server does not give bytes back") }
    }
  }
}

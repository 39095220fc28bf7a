package import UploadCore

/// GETs from a receiver, one at a time over one kept connection, for threads that wait for the answer.
package final class BlockingRequests: Sendable {
  private let destination: ChunkDestination
  private let stallTimeout: Span
  private let client: BlockingClient

  /// - Parameter stallTimeout: a request in which no byte moves for so long has failed.
  package init(destination: ChunkDestination, clock: any MonotonicClock, stallTimeout: Span) {
    self.destination = destination
    self.stallTimeout = stallTimeout
    client = BlockingClient(
      caFile: destination.caFile, noProxy: destination.noProxy, clock: clock, stallTimeout: stallTimeout)
  }

  /// GETs an address of the destination, with its token.
  /// - Parameter path: from the destination's base on, with its leading slash.
  package func get(_ path: String) throws(FetchError) -> HTTPAnswer {
    try client.answer(
      to: HTTPRequest(.get, destination.baseURL + path, headers: destination.token.header, stallTimeout: stallTimeout))
  }
}

public import UploadCore
public import UploadProtocol

/// Asks a receiver of the chunk protocol what it holds.
public final class ReceiverListing: DestinationListing {
  private let destination: ChunkDestination
  private let requests: BlockingRequests

  /// A lost connection is tried once more: the kept one may have been closed since the last question.
  private static let attemptsMax = 2

  /// - Parameter stallTimeout: a question about which no byte moves for so long has failed.
  public init(destination: ChunkDestination, clock: any MonotonicClock, stallTimeout: Span) {
    self.destination = destination
    requests = BlockingRequests(destination: destination, clock: clock, stallTimeout: stallTimeout)
  }

  public func page(
    of session: SessionID, from index: Int, max: Int, depth: ListingDepth
  ) throws(ListingError) -> ListedPage? {
    let path = "\(Routes.sessions)/\(session)?from=\(index)&limit=\(max)&depth=\(depth.rawValue)"
    let answer = try answer(path)
    switch answer.status {
    case 200:
      guard let page = answer.listedPage(of: session, from: index, depth: depth) else {
        throw ListingError(
          "what answers at \(destination.baseURL) is not a reelfs receiver, or one too old for this question")
      }
      return page
    case 404 where answer.decoded(ServerRefusal.self)?.error == "unknown_session":
      return nil
    case 401:
      throw ListingError("\(destination.baseURL) does not accept the token; give the right one with --token-file")
    default:
      let words = answer.decoded(ServerRefusal.self)?.message ?? answer.words ?? ""
      throw ListingError("\(destination.baseURL) answered \(answer.status): \(words)")
    }
  }

  private func answer(_ path: String) throws(ListingError) -> HTTPAnswer {
    var words = ""
    for _ in 0..<Self.attemptsMax {
      do throws(FetchError) { return try requests.get(path) } catch { words = error.description }
    }
    throw ListingError("no answer from \(destination.baseURL): \(words)")
  }
}

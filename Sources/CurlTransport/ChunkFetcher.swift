public import UploadCore
import UploadProtocol

/// Fetches stored chunks back from a receiver of the chunk protocol, one at a time. Any thread may call it; it blocks.
public final class ChunkFetcher: Sendable {
  private let destination: ChunkDestination
  private let requests: BlockingRequests

  /// A reader waits for a fetch, so it is tried again before it becomes the reader's error.
  private static let attemptsMax = 3

  /// - Parameter stallTimeout: a fetch in which no byte moves for so long has failed.
  public init(destination: ChunkDestination, clock: any MonotonicClock, stallTimeout: Span) {
    self.destination = destination
    requests = BlockingRequests(destination: destination, clock: clock, stallTimeout: stallTimeout)
  }

  /// The bytes of a stored chunk, unchecked: the caller knows the digest.
  public func fetch(_ chunk: ChunkID) throws(FetchError) -> [UInt8] {
    var last = FetchError("it was not tried")
    for _ in 0..<Self.attemptsMax {
      do throws(FetchError) { return try attempt(chunk) } catch {
        if error.isFinal { throw error }
        last = error
      }
    }
    throw last
  }

  private func attempt(_ chunk: ChunkID) throws(FetchError) -> [UInt8] {
    let answer = try requests.get("\(Routes.sessions)/\(chunk.session)/chunks/\(chunk.index)")
    guard answer.status == 200 else {
      throw FetchError(
        "\(destination.baseURL) answered \(answer.status): \(answer.words ?? "")", isFinal: answer.status < 500,
        isMissing: answer.status == 404)
    }
    return answer.body
  }
}

/// Why a stored chunk could not be fetched back.
public struct FetchError: Error, Sendable, Equatable, CustomStringConvertible {
  public let description: String
  /// Trying again will not help.
  let isFinal: Bool
  /// The destination is there and does not have it.
  public let isMissing: Bool

  init(_ description: String, isFinal: Bool = false, isMissing: Bool = false) {
    self.description = description
    self.isFinal = isFinal
    self.isMissing = isMissing
  }
}

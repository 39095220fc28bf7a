public import UploadCore
import UploadProtocol

/// Fetches stored chunks back from a receiver of the chunk protocol, one at a time. Any thread may call it; it blocks.
public final class ChunkFetcher: Sendable {
  private let destination: ChunkDestination
  private let stallTimeout: Span
  private let client: BlockingClient

  /// A reader waits for a fetch, so it is tried again before it becomes the reader's error.
  private static let attemptsMax = 3

  /// - Parameter stallTimeout: a fetch in which no byte moves for so long has failed.
  public init(destination: ChunkDestination, clock: any MonotonicClock, stallTimeout: Span) {
    self.destination = destination
    self.stallTimeout = stallTimeout
    client = BlockingClient(
      caFile: destination.caFile, noProxy: destination.noProxy, clock: clock, stallTimeout: stallTimeout)
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
    let url = "\(destination.baseURL)\(Routes.sessions)/\(chunk.session)/chunks/\(chunk.index)"
    let authorization = destination.token.map { ["Authorization: Bearer \($0)"] } ?? []
    let request = HTTPRequest(.get, url, headers: authorization, stallTimeout: stallTimeout)
    switch try client.result(of: request) {
    case .answered(let answer) where answer.status == 200: return answer.body
    case .answered(let answer):
      throw FetchError(
        "\(destination.baseURL) answered \(answer.status): \(answer.words ?? "")", isFinal: answer.status < 500,
        isMissing: answer.status == 404)
    case .failed(_, let words): throw FetchError(words)
    case .stalled: throw FetchError("no byte moved for \(stallTimeout.nanoseconds / 1_000_000_000) s")
    case .endless: throw FetchError("the answer is longer than a chunk", isFinal: true)
    }
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

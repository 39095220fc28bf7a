public import UploadCore

/// A web address that is told how things are, as healthchecks.io takes it: asked for when all is well; with `/fail` at the end
/// of its path and a sentence as the body when not. Any thread; it blocks.
public final class WebHook: Sendable {
  private let address: String
  private let client: BlockingClient

  /// No byte for so long: nobody is there.
  private static let stallTimeout = Span.seconds(10)

  public init(address: String, clock: any MonotonicClock) {
    self.address = address
    client = BlockingClient(caFile: nil, noProxy: nil, clock: clock, stallTimeout: Self.stallTimeout)
  }

  /// - Parameter failure: nil: all is well.
  /// - Returns: what went wrong; nil when the address answered with a 2xx.
  public func tell(failure: String?) -> String? {
    let request =
      if let failure {
        HTTPRequest(
          .post, Self.failing(address), headers: ["Content-Type: text/plain; charset=utf-8"],
          body: RequestBody(bytes: Array(failure.utf8)), stallTimeout: Self.stallTimeout)
      } else {
        HTTPRequest(.get, address, stallTimeout: Self.stallTimeout)
      }
    do throws(FetchError) {
      let answer = try client.answer(to: request)
      return 200..<300 ~= answer.status ? nil : "it answered \(answer.status)"
    } catch { return error.description }
  }

  /// `/fail` before a query.
  package static func failing(_ address: String) -> String {
    let end = address.firstIndex(of: "?") ?? address.endIndex
    let path = address[..<end]
    return path + (path.hasSuffix("/") ? "fail" : "/fail") + address[end...]
  }
}

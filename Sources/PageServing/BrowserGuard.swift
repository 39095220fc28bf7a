public import HTTPTypes

/// Keeps other web sites away from a server on the loopback interface, which every page in a browser on this machine can
/// reach.
///
/// A site whose name was made to point at 127.0.0.1 (DNS rebinding) would be the same origin as ours; it is told by its
/// name in `Host`. Any other site is told by `Origin`, which browsers send with everything that may change something.
public enum BrowserGuard {
  public enum Refusal: Error, Sendable, Equatable {
    case foreignHost, foreignOrigin
  }

  /// - Parameter name: what the server was told to listen on; allowed as a host beside the names of this machine.
  /// - Returns: nil when the request may go on.
  public static func refusal(of head: HTTPRequest, listeningOn name: String) -> Refusal? {
    hostRefusal(of: head, listeningOn: name) ?? originRefusal(of: head)
  }

  /// HTTP/1.0 programs send no host; browsers always do.
  public static func hostRefusal(of head: HTTPRequest, listeningOn name: String) -> Refusal? {
    guard let authority = head.authority else { return nil }
    let host = Self.host(of: authority[...])
    return host.map(isThisMachine) == true || host?.lowercased() == name.lowercased() ? nil : .foreignHost
  }

  /// Only the page of this very server.
  static func originRefusal(of head: HTTPRequest) -> Refusal? {
    guard let origin = head.headerFields[.origin] else { return nil }
    guard let authority = head.authority, origin == "http://\(authority)" || origin == "https://\(authority)" else {
      return .foreignOrigin
    }
    return nil
  }

  private static func isThisMachine(_ host: Substring) -> Bool {
    host.lowercased() == "localhost" || host == "127.0.0.1" || host == "[::1]"
  }

  /// Without the port; nil when what follows is no port.
  private static func host(of authority: Substring) -> Substring? {
    guard let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") else { return authority }
    let port = authority[authority.index(after: colon)...].utf8
    return port.allSatisfy { (48...57).contains($0) } ? authority[..<colon] : nil
  }
}

import CCurl

/// A receiver of the chunk protocol: where it is, and who we are to it.
public struct ChunkDestination: Sendable {
  /// `http(s)://host[:port][/prefix]`, without a slash at its end.
  public let baseURL: String
  /// Name under which the receiver files our recordings.
  public let device: String
  /// Our own random id: once a session has one, only it may write to that session.
  public let writer: String
  let token: BearerToken
  /// PEM file with the authorities to trust in place of the system's; nil: the system's.
  public let caFile: String?
  /// How chunks travel.
  public var compresses = Compression.none
  /// Bypasses a proxy named in the environment when the receiver is on this machine.
  let noProxy: String?

  public enum Compression: Sendable {
    case none
    /// Those that get smaller by it, and only to a receiver that takes them.
    case zstd
  }

  /// - Parameters:
  ///   - token: sent as a bearer token; nil: none.
  ///   - rereadToken: what it is now, if it can be replaced while we run.
  /// - Throws: `DestinationError` saying which part cannot be used and why.
  public init(
    baseURL: String, device: String, writer: String, token: String? = nil, caFile: String? = nil,
    rereadToken: @escaping @Sendable () -> String? = { nil }
  ) throws(DestinationError) {
    let host = try Self.host(of: baseURL)
    guard !device.isEmpty else { throw .emptyDevice }
    guard Self.isHeaderText(writer) else { throw .unusableWriter }
    if let token, !Self.isHeaderText(token) { throw .unusableToken }
    var address = baseURL[...]
    while address.hasSuffix("/") { address.removeLast() }
    self.baseURL = String(address)
    self.device = device
    self.writer = writer
    self.token = BearerToken(token, reread: rereadToken)
    self.caFile = caFile
    self.noProxy = ["localhost", "127.0.0.1", "[::1]"].contains(host) ? "*" : nil
  }

  private static func host(of address: String) throws(DestinationError) -> String {
    guard let url = curl_url() else { throw .libraryUnavailable }
    defer { curl_url_cleanup(url) }
    let code = curl_url_set(url, CURLUPART_URL, address, 0)
    guard code == CURLUE_OK else {
      throw .unusableAddress(address, String(cString: curl_url_strerror(code)))
    }
    guard let scheme = part(CURLUPART_SCHEME, of: url), scheme == "http" || scheme == "https" else {
      throw .unusableAddress(address, "it must begin with http:// or https://")
    }
    for (extra, name) in [
      (CURLUPART_QUERY, "a query"), (CURLUPART_FRAGMENT, "a fragment"), (CURLUPART_USER, "a user name"),
    ] where part(extra, of: url) != nil {
      throw .unusableAddress(address, "it must not have \(name)")
    }
    return part(CURLUPART_HOST, of: url) ?? ""
  }

  private static func part(_ part: CURLUPart, of url: OpaquePointer) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    guard curl_url_get(url, part, &text, 0) == CURLUE_OK, let text else { return nil }
    defer { curl_free(text) }
    return String(cString: text)
  }

  /// Visible ASCII only, so that nothing can add a header line; at most 4 KiB, half of what servers take for all headers.
  static func isHeaderText(_ text: String) -> Bool {
    1...4_096 ~= text.utf8.count && text.utf8.allSatisfy { 0x21...0x7e ~= $0 }
  }
}

/// Why a destination cannot be used at all, before anything is sent to it.
public enum DestinationError: Error, Equatable, Sendable, CustomStringConvertible {
  case unusableAddress(String, String)
  case emptyDevice
  case unusableWriter
  case unusableToken
  case libraryUnavailable

  public var description: String {
    switch self {
    case .unusableAddress(let address, let reason): "the destination '\(address)' cannot be used: \(reason)"
    case .emptyDevice: "the device name is empty"
    case .unusableWriter: "the writer id must be 1 to 4096 visible ASCII characters"
    case .unusableToken: "the token must be 1 to 4096 visible ASCII characters, without spaces or line ends"
    case .libraryUnavailable: "libcurl could not be initialised (out of memory?)"
    }
  }
}

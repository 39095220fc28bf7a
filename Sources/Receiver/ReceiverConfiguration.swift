import UploadProtocol

/// What `reelfs receive` is told.
public struct ReceiverConfiguration: Sendable {
  /// A name or an address. Anything but loopback needs a token.
  public var listenHost: String
  /// 0: any free port; `Receiver` says which.
  public var listenPort: Int
  /// The folder `uploaded_data`; its last component is created if missing.
  public var dataDirectory: String
  /// What clients must send as `Authorization: Bearer …`; nil: nothing, and loopback only.
  public var token: String?
  public var tls: TLSFiles?
  public var limits: Limits

  public init(
    listenHost: String = "127.0.0.1", listenPort: Int = 8090, dataDirectory: String = "./uploaded_data",
    token: String? = nil, tls: TLSFiles? = nil, limits: Limits = Limits()
  ) {
    self.listenHost = listenHost
    self.listenPort = listenPort
    self.dataDirectory = dataDirectory
    self.token = token
    self.tls = tls
    self.limits = limits
  }

  /// PEM files; the certificate's chain in one file, leaf first.
  public struct TLSFiles: Sendable {
    public var certificatePath: String
    public var keyPath: String

    public init(certificatePath: String, keyPath: String) {
      self.certificatePath = certificatePath
      self.keyPath = keyPath
    }
  }

  /// How much the receiver lets clients have. Chunk size and highest index are `ChunkLayout`'s.
  public struct Limits: Sendable {
    /// Open connections; more wait in the kernel's backlog.
    public var connectionsMax = 256
    /// Chunk bodies in memory at once, 1 MiB each (2 MiB of a compressed one); more are answered 503. Twice what sixteen usual clients send.
    public var bodiesMax = 32
    /// Bytes of an announcement: a path of 4,096 bytes and 64 KiB of metadata in JSON.
    public var announcementBytesMax = 128 << 10
    /// Bytes of a completion: the digests of 1 TiB of recording in base64 are 43 MiB.
    public var completionBytesMax = 48 << 20
    /// Sessions ever; their rows stay in the catalog.
    public var sessionsMax = 1_000_000
    /// Bytes of a tus upload; `Tus-Max-Size`.
    public var tusBytesMax = ChunkLayout.sizeMax
    /// tus requests with a body at once, 2 MiB of memory each; more are answered 503.
    public var tusBodiesMax = 32
    /// Seconds after its last byte when an unfinished tus upload is deleted.
    public var tusExpirySeconds = 7 * 86_400
    /// Seconds without a byte after which a request loses its upload to the next one: its connection counts as dead.
    /// tus-js-client's retries, at 0, 1, 3 and 5 s, must outlast it.
    public var tusStaleSeconds = 3
    /// Seconds in which a connection may move nothing before it is closed.
    public var idleSeconds = 75
    /// Seconds that requests in flight get after SIGTERM.
    public var stopSecondsMax = 20

    public init() {}
  }
}

extension ReceiverConfiguration {
  /// Whether only this machine can connect.
  var isLoopback: Bool {
    listenHost == "localhost" || listenHost == "::1" || listenHost == "[::1]" || isLoopbackIPv4
  }

  private var isLoopbackIPv4: Bool {
    let numbers = listenHost.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
    return numbers.count == 4 && !numbers.contains(nil) && numbers[0] == 127
  }
}

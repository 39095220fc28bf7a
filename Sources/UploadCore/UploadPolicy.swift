/// The numbers of the seed's configuration, and the limits of the uploader.
public struct UploadPolicy: Sendable, Equatable {
  /// Requests in flight at once (I4), at most; `TransferWindow` says how many there are.
  public var parallel = 4
  /// An attempt that moves no byte for so long is cancelled and its lease freed; transfers of chunks sooner (`StallTimeout`).
  public var uploadTimeout = Span.seconds(60)
  public var retryInitial = Span.seconds(2)
  public var retryMax = Span.seconds(60)
  /// After so many failures in a row the delay is always `retryMax`.
  public var maxConsecutiveFailures = 10
  /// Between probes while offline.
  public var connectionCheckInterval = Span.seconds(5)
  /// Between probes while blocked (credentials, address, no room): `retryMax`, but never more than this.
  public var blockedCheckInterval = Span.seconds(900)
  /// A Retry-After is honoured up to this.
  public var retryAfterMax = Span.seconds(3600)
  /// How often bytes may arrive damaged before the session fails for good.
  public var corruptionsMax = 3
  public var bytesPerSecondMax: Int?
  /// Between the beginnings of two rounds of sending; nil: everything is sent as it comes.
  public var syncEvery: Span?
  /// A round lasts at least so long: what was closed just before it is finished, and goes along.
  public var roundLeast = Span.seconds(3)
  public var geometry = TransferGeometry.chunks
  /// A closed recording of at most so many bytes, nothing of which was begun at the destination, travels whole, many of them
  /// in one request; 0: none does. Only with `TransferGeometry.chunks`, at most a chunk.
  public var wholeBytesMax = 0

  public init() {}
}

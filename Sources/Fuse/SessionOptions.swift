/// What a session asks of the kernel. Mount options proper (allow_other, default_permissions) are given at mount(2).
///
/// The kernel is asked once, by the first worker of a mount; later workers must be given the same `writeback`.
public struct SessionOptions: Sendable {
  /// Threads that serve requests at most (`RequestPool` says how many there are): each holds one request and, for a big write,
  /// one pipe of 1 MiB. When all of them wait for something far away, so does everybody else.
  public var threadsMax = 64
  /// The kernel collects small writes and sends them later: faster for bulk copies of tiny writes, but uploads begin
  /// later and a failed write is told to nobody.
  public var writeback = false
  /// Bytes of the largest WRITE, where pipes may hold so much; libfuse and Linux allow 1 MiB.
  public var writeBytesMax = 1 << 20
  /// Read-ahead and asynchronous direct I/O requests in flight.
  public var backgroundMax: UInt32 = 64
  /// Told of a request that was refused because workers crashed in it, on the thread that refused it.
  public var onRefusal: @Sendable (RefusedRequest) -> Void = { _ in }
  /// libfuse prints every request to standard error.
  public var debug = false

  public init() {}
}

public import SystemPackage

/// Who asks, and whether a worker that died may have done it already.
public struct RequestContext: Sendable {
  public let userID: UInt32
  public let groupID: UInt32
  public let processID: Int32
  /// The caller's umask. The kernel has applied it to modes already.
  public let umask: UInt32
  /// The request was handed out before to a worker that died having begun it: it may have been carried out, wholly or
  /// not at all. EEXIST, ENOENT and their like may then be the echo of our own first execution.
  public let mayHaveRun: Bool
  /// What `remember` was given by the first execution; 0 without one.
  public let memory: UInt64
  /// The number under which requests are remembered over a worker's death; 0 when not remembered.
  public let unique: UInt64
  let ledger: RequestLedger?

  public init(
    userID: UInt32, groupID: UInt32, processID: Int32, umask: UInt32, mayHaveRun: Bool = false, memory: UInt64 = 0
  ) {
    self.userID = userID
    self.groupID = groupID
    self.processID = processID
    self.umask = umask
    self.mayHaveRun = mayHaveRun
    self.memory = memory
    self.unique = 0
    self.ledger = nil
  }
}

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
  let slot: RequestLedger.Slot?

  /// For tests of file systems without a mount.
  public init(
    userID: UInt32, groupID: UInt32, processID: Int32, umask: UInt32, mayHaveRun: Bool = false, memory: UInt64 = 0,
    unique: UInt64 = 0
  ) {
    self.init(
      userID: userID, groupID: groupID, processID: processID, umask: umask, mayHaveRun: mayHaveRun, memory: memory,
      unique: unique, slot: nil)
  }

  package init(
    userID: UInt32, groupID: UInt32, processID: Int32, umask: UInt32, mayHaveRun: Bool, memory: UInt64,
    unique: UInt64, slot: RequestLedger.Slot?
  ) {
    self.userID = userID
    self.groupID = groupID
    self.processID = processID
    self.umask = umask
    self.mayHaveRun = mayHaveRun
    self.memory = memory
    self.unique = unique
    self.slot = slot
  }

  /// Keeps `value` (not 0) for a second execution of this request, which finds it in `memory`. Call it before the act
  /// whose traces it is to explain: a rename keeps the inode it is about to move.
  public func remember(_ value: UInt64) { slot?.memory.value = value }
}

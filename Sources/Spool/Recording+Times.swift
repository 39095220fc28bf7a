internal import Synchronization

// Times that programs see: bytes that only move between here and the destination leave the time of the last change alone.
// The time of the node (ctime) cannot be set by anybody, and moves.
extension Recording {
  /// Sets times that a program asks for.
  public func settingTimes(_ body: () throws(SpoolError) -> Void) throws(SpoolError) {
    try timing.withLock { _ throws(SpoolError) in try body() }
  }

  /// Runs `body`, which gives local bytes up or puts fetched ones in their place.
  func keepingTimes(_ body: () throws(SpoolError) -> Void) throws(SpoolError) {
    try timing.withLock { _ throws(SpoolError) in
      let changed = state.withLock { $0.changed }
      let before = try Backing.status(descriptor).modified
      defer { restore(before, unlessChangedSince: changed) }
      try body()
    }
  }

  private func restore(_ modified: (seconds: Int64, nanoseconds: Int64), unlessChangedSince changed: Int) {
    let time = BackingTime.at(seconds: modified.seconds, nanoseconds: modified.nanoseconds)
    try? Backing.changeModificationTime(descriptor, to: time)
    // Somebody wrote meanwhile, or is about to: that was a change, and it is now.
    let isStale = state.withLock { $0.changing > 0 || $0.changed != changed }
    if isStale { try? Backing.changeModificationTime(descriptor, to: .now) }
  }
}

extension Recording.State {
  /// A change that a program asked for is over.
  mutating func hasChanged() {
    changing -= 1
    changed += 1
  }
}

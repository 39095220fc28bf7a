import Dispatch
import Synchronization
import SystemPackage

/// Copies whole recordings beside the vault's thread: without shared blocks that takes as long as the disk needs.
final class RecordingCopier: Sendable {
  /// Between two steps a stop is noticed.
  private static let stepBytes: Int64 = 256 << 20

  /// One at a time: two would only share one disk.
  private let thread = DispatchQueue(label: "reelfs.receiver.copier")
  private let isStopped = Atomic<Bool>(false)

  /// Copies `count` bytes and syncs them, then says how it went, on another thread.
  func copy(_ count: Int64, of source: OpenFile, to target: OpenFile, done: @escaping @Sendable (IOFailure?) -> Void) {
    thread.async {
      do throws(IOFailure) {
        if !target.cloneBlocks(of: source) { try self.copyInSteps(count, of: source, to: target) }
        try target.synchronize()
        done(nil)
      } catch { done(error) }
    }
  }

  /// Ends a running copy at its next step and waits for that.
  func stop() {
    isStopped.store(true, ordering: .relaxed)
    thread.sync {}
  }

  private func copyInSteps(_ count: Int64, of source: OpenFile, to target: OpenFile) throws(IOFailure) {
    for start in stride(from: 0, to: count, by: Int64.Stride(Self.stepBytes)) {
      if isStopped.load(ordering: .relaxed) { throw IOFailure(errno: .canceled, action: "copy a recording") }
      try source.copy(min(Self.stepBytes, count - start), at: start, to: target, at: start)
    }
  }
}

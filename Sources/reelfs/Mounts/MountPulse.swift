import Dispatch
import Foundation
import Glibc
import Synchronization

/// Whether a mount answers. Whoever looks into one that does not would wait for it for as long as it stands still.
enum MountPulse: Sendable {
  case alive
  /// Nobody serves it any more.
  case dead
  /// Somebody should, but did not within `secondsMax`: its processes are stopped, or it waits for its disk.
  case silent

  /// A mount whose worker has just died answers within well under a second.
  private static let secondsMax = 3

  /// Looks at several at once. Threads that get no answer end with the process.
  static func of<Mount>(_ mounts: [Mount], at path: (Mount) -> String) -> [(Mount, MountPulse)] {
    Array(zip(mounts, of(mounts.map(path))))
  }

  private static func of(_ paths: [String]) -> [MountPulse] {
    let board = Board(count: paths.count)
    let answered = DispatchSemaphore(value: 0)
    for (place, path) in paths.enumerated() {
      Thread.detachNewThread {
        // Never answered from the kernel's memory, as attributes are.
        var space = statvfs()
        let isDead = statvfs(path, &space) != 0 && errno == ENOTCONN
        board.pulses.withLock { $0[place] = isDead ? .dead : .alive }
        answered.signal()
      }
    }
    let end = DispatchTime.now() + .seconds(secondsMax)
    for _ in paths where answered.wait(timeout: end) == .timedOut { break }
    return board.pulses.withLock { $0 }
  }

  /// Outlives the call, for threads that come later.
  private final class Board: Sendable {
    let pulses: Mutex<[MountPulse]>
    init(count: Int) { pulses = Mutex(Array(repeating: .silent, count: count)) }
  }
}

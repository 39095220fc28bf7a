import CLinux
import Fuse
import Glibc

/// What tests make this file system do wrong, by the names of files and only if `FUSE_PROBE_FAULTS` is set.
enum Faults {
  private static let areOn = getenv("FUSE_PROBE_FAULTS") != nil

  /// `poison-…` crashes, in one of the ways in which programs crash.
  static func crash(_ name: FileName) {
    guard areOn else { return }
    switch name.text {
    case "poison-trap": fatalError("as a test wishes")
    case "poison-abort": abort()
    case "poison-fault": UnsafeMutablePointer<Int>(bitPattern: 8)!.pointee = 1
    case "poison-overflow": _ = overflow(1)
    case "poison-late":
      usleep(300_000)
      abort()
    default: break
    }
  }

  /// `waiting` waits until there is a file `go` in `folder`; who waits adds a byte to `waits`.
  static func wait(_ path: String, folder: String) {
    guard areOn, path.hasSuffix("/waiting") else { return }
    let waits = Glibc.open(folder + "/waits", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    write(waits, "x", 1)
    close(waits)
    while access(folder + "/go", F_OK) != 0 { usleep(2_000) }
  }

  @inline(never) @_optimize(none)
  private static func overflow(_ depth: Int) -> Int {
    var room = (depth, depth, depth, depth, depth, depth, depth, depth)
    return withUnsafeMutableBytes(of: &room) { depth < 0 ? 0 : overflow(depth + 1) + Int($0[0]) }
  }
}

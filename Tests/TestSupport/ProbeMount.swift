internal import Foundation
internal import Glibc

/// A running `fuse-probe` with its folder and mountpoint, all in one temporary folder; `remove` cleans up whatever happened.
public final class ProbeMount {
  public let folder: String
  public let process: Child

  /// Why mount tests cannot run here; nil if they can.
  public static var obstacle: String? {
    access("/dev/fuse", R_OK | W_OK) == 0 ? nil : "/dev/fuse is missing or forbidden"
  }
  public static var isPossible: Bool { obstacle == nil }

  /// - Parameter mode: `serve` or `mount`.
  /// - Parameter over: whose folder and mountpoint to use again.
  /// - Parameter environment: added to this process's.
  public init(
    _ mode: String, _ arguments: [String] = [], over: ProbeMount? = nil, environment: [String: String] = [:]
  ) throws {
    if let over {
      folder = over.folder
    } else {
      var template = Array((Self.temporary + "/fuse-probe-XXXXXX").utf8CString)
      guard mkdtemp(&template) != nil else { throw Failure("no temporary folder", code: errno) }
      folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    mkdir(folder + "/mnt", 0o755)
    process = try Child(
      [Self.program, mode, folder + "/back", folder + "/mnt"] + arguments, environment: environment,
      output: folder + (over == nil ? "/log" : "/log-again"))
    try eventually("the probe is ready") { said.contains("ready") || process.exitCode != nil }
    if !said.contains("ready") { throw Failure(said) }
  }

  /// In memory where that can be had: a disk that is busy with something else makes every write wait.
  private static var temporary: String {
    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : FileManager.default.temporaryDirectory.path
  }

  public static var program: String { built("fuse-probe") }

  public func path(_ name: String) -> String { folder + "/mnt/" + name }
  /// Where the file system keeps it.
  public func backing(_ name: String) -> String { folder + "/back/tree/" + name }
  /// What it printed so far.
  public var said: String { process.said }

  /// The worker below a supervisor; nil while there is none.
  public var worker: Int32? { process.children.first }

  public func remove() {
    let last = worker
    run("/bin/umount", "-l", folder + "/mnt")
    process.send(SIGKILL)
    if let last { kill(last, SIGKILL) }
    _ = try? process.wait()
    // Never into a mount that is still there.
    if unlinkat(AT_FDCWD, folder + "/mnt", AT_REMOVEDIR) == 0 || errno == ENOENT {
      try? FileManager.default.removeItem(atPath: folder)
    }
  }
}

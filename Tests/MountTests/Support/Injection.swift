import Foundation
import Glibc
import TestSupport

/// System calls of a running program that fail as told, by strace(1), until `end`.
final class Injection {
  static let isAvailable = Machine.isRoot && Machine.has("strace")

  private let tracer: Child

  /// - Parameters:
  ///   - calls: names, separated by commas.
  ///   - error: the name of an errno.
  ///   - path: only calls on this file; nil: all.
  init(_ calls: String, error: String, of process: pid_t, path: Path?, in world: World) throws {
    tracer = try world.start(
      ["strace", "-f", "-p", "\(process)"] + (path.map { ["-P", $0.description] } ?? [])
        + ["-o", "/dev/null", "-e", "trace=\(calls)", "-e", "inject=\(calls):error=\(error)"])
    try eventually("strace has attached: \(tracer.said)") {
      if tracer.exitCode != nil { throw Failure("strace: \(tracer.said)") }
      // Every thread of it.
      let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
      return threads.allSatisfy { thread in
        let status = (try? String(contentsOfFile: "/proc/\(process)/task/\(thread)/status", encoding: .utf8)) ?? ""
        return !status.contains("TracerPid:\t0\n")
      }
    }
  }

  func end() throws {
    tracer.send(SIGINT)
    _ = try tracer.wait()
  }

  deinit { tracer.send(SIGKILL) }
}

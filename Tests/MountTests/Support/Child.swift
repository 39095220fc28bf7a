import CLinux
import Foundation
import Glibc
import Synchronization

/// A program started for a test. Unlike Foundation's, it starts with no signal blocked and no descriptor but 0, 1 and 2:
/// test threads block signals, and a child that inherited that could not be asked to end.
final class Child: Sendable {
  let pid: pid_t
  private let outputPath: String
  /// The exit code, or 128 + the signal, once it was reaped: from then on the process id may be somebody else's.
  private let code = Mutex<Int32?>(nil)

  /// - Parameters:
  ///   - environment: added to this process's, without its REELFS variables.
  ///   - output: the file that takes what it prints.
  init(_ words: [String], environment: [String: String] = [:], output: String) throws {
    outputPath = output
    let (input, printed) = (try Self.lifted("/dev/null", O_RDONLY), try Self.lifted(output, O_WRONLY | O_CREAT | O_APPEND))
    defer {
      close(input)
      close(printed)
    }
    let descriptors = [(input, 0), (printed, 1), (printed, 2)].map { clinux_inheritance(source: $0, target: $1) }
    let inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("REELFS") }
    let variables = inherited.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
    var process: pid_t = 0
    let error = Self.withCStrings(words) { words in
      Self.withCStrings(variables) { clinux_spawn(&process, words[0]!, words, $0, descriptors, 3, 0) }
    }
    guard error == 0 else { throw Failure("cannot start \(words[0])", code: error) }
    pid = process
  }

  /// An open descriptor above all that the child gets.
  private static func lifted(_ path: String, _ flags: Int32) throws -> Int32 {
    let descriptor = try call("open \(path)") { open(path, flags | O_CLOEXEC, 0o644) }
    defer { close(descriptor) }
    return try call("dup") { fcntl(descriptor, F_DUPFD_CLOEXEC, 64) }
  }

  private static func withCStrings(
    _ words: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
  ) -> Int32 {
    let pointers = words.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
  }

  /// What it printed so far.
  var said: String {
    String(decoding: FileManager.default.contents(atPath: outputPath) ?? Data(), as: UTF8.self)
  }

  /// nil while it runs.
  var exitCode: Int32? {
    code.withLock { code in
      if code != nil { return code }
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
      code = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
      return code
    }
  }

  /// - Throws: after `seconds`.
  func wait(seconds: Int = patience) throws -> Int32 {
    var result: Int32 = 0
    try eventually("process \(pid) has ended", seconds: seconds) {
      exitCode.map { result = $0 } != nil
    }
    return result
  }

  func send(_ signal: Int32) {
    code.withLock { if $0 == nil { kill(pid, signal) } }
  }

  /// Kills it and all below it, and waits for it.
  func killAll() {
    let below = Self.descendants(of: pid)
    send(SIGKILL)
    for process in below { kill(process, SIGKILL) }
    _ = try? wait()
  }

  var descendants: [pid_t] { Self.descendants(of: pid) }

  private static func descendants(of pid: pid_t) -> [pid_t] {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    let children = text.split(separator: " ").compactMap { pid_t($0) }
    return children + children.flatMap { descendants(of: $0) }
  }
}

/// What went wrong in a test's own work.
struct Failure: Error, CustomStringConvertible {
  let words: String
  /// errno, where a system call failed.
  let code: Int32
  init(_ words: String, code: Int32 = 0) { (self.words, self.code) = (words, code) }
  var description: String { code == 0 ? words : "\(words): \(String(cString: strerror(code)))" }
}

/// Seconds after which something hangs. Generous: a thousand tests share the machine, and how fast something is, benchmarks say.
let patience = 120

/// Waits until `condition` holds. - Throws: after `seconds`.
func eventually(_ what: String, seconds: Int = patience, _ condition: () throws -> Bool) throws {
  let end = ContinuousClock.now + .seconds(seconds)
  while try !condition() {
    guard ContinuousClock.now < end else { throw Failure("not within \(seconds) s: \(what)") }
    usleep(10_000)
  }
}

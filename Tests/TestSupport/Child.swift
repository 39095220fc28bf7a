internal import CLinux
internal import Foundation
internal import Glibc
internal import Synchronization

/// A program started for a test. Foundation's `Process` will not do: it reads beyond the end of a directory's buffer when it looks
/// for open descriptors, of which tests have more than a thousand (now and then that is a crash), and what it starts has the signals
/// blocked that test threads block, so it could not be asked to end.
public final class Child: Sendable {
  public let pid: Int32
  private let outputPath: String
  /// The exit code, or 128 + the signal, once it was reaped: from then on the process id may be somebody else's.
  private let code = Mutex<Int32?>(nil)

  /// - Parameters:
  ///   - words: the program's path and its arguments.
  ///   - environment: added to this process's, without its REELFS variables.
  ///   - output: the file to which is appended what it prints.
  ///   - errors: the same for its standard error; nil: `output`.
  public init(_ words: [String], environment: [String: String] = [:], output: String, errors: String? = nil) throws {
    outputPath = output
    let sources = [
      try Self.lifted("/dev/null", O_RDONLY), try Self.lifted(output, Self.appending), try Self.lifted(errors ?? output, Self.appending),
    ]
    defer { sources.forEach { close($0) } }
    let descriptors = zip(sources, 0...).map { clinux_inheritance(source: $0, target: $1) }
    let inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("REELFS") }
    let variables = inherited.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
    var process: pid_t = 0
    let error = withCStrings(words) { words in
      withCStrings(variables) { clinux_spawn(&process, words[0]!, words, $0, descriptors, Int32(descriptors.count), 0) }
    }
    guard error == 0 else { throw Failure("cannot start \(words[0])", code: error) }
    pid = process
  }

  private static let appending = O_WRONLY | O_CREAT | O_APPEND

  /// An open descriptor above all that the child gets.
  private static func lifted(_ path: String, _ flags: Int32) throws -> Int32 {
    let descriptor = open(path, flags | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Failure("open \(path)", code: errno) }
    defer { close(descriptor) }
    return fcntl(descriptor, F_DUPFD_CLOEXEC, 64)
  }

  /// What it printed so far.
  public var said: String {
    String(decoding: FileManager.default.contents(atPath: outputPath) ?? Data(), as: UTF8.self)
  }

  /// nil while it runs.
  public var exitCode: Int32? {
    code.withLock { code in
      if code != nil { return code }
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
      code = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
      return code
    }
  }

  /// - Returns: the same. - Throws: after `seconds`.
  @discardableResult
  public func wait(seconds: Int = patience) throws -> Int32 {
    var result: Int32 = 0
    try eventually("process \(pid) has ended", seconds: seconds) {
      exitCode.map { result = $0 } != nil
    }
    return result
  }

  public func send(_ signal: Int32) {
    code.withLock { if $0 == nil { kill(pid, signal) } }
  }

  /// Kills it and all below it, and waits for it.
  public func killAll() {
    let below = Self.descendants(of: pid)
    send(SIGKILL)
    for process in below { kill(process, SIGKILL) }
    _ = try? wait()
  }

  /// The oldest first.
  public var children: [Int32] { Self.children(of: pid) }
  public var descendants: [Int32] { Self.descendants(of: pid) }

  private static func children(of pid: Int32) -> [Int32] {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap { Int32($0) }
  }

  private static func descendants(of pid: Int32) -> [Int32] {
    let children = children(of: pid)
    return children + children.flatMap { descendants(of: $0) }
  }
}

/// Runs a program to its end, like `Child`. - Parameter folder: where it runs; nil: here.
/// - Returns: its exit code, what it printed, and its standard error.
@discardableResult
public func run(
  _ words: [String], environment: [String: String] = [:], in folder: String? = nil
) throws -> (code: Int32, output: String, errors: String) {
  let own = FileManager.default.temporaryDirectory.appending(path: "reelfs-run-\(UUID().uuidString)").path
  guard mkdir(own, 0o700) == 0 else { throw Failure("mkdir \(own)", code: errno) }
  defer { try? FileManager.default.removeItem(atPath: own) }
  let (output, errors) = (own + "/output", own + "/errors")
  let whole = folder.map { ["/usr/bin/env", "-C", $0] + words } ?? words
  let child = try Child(whole, environment: environment, output: output, errors: errors)
  do { try child.wait() } catch {
    child.killAll()
    throw Failure("\(words.joined(separator: " ")): \(error)")
  }
  return (child.exitCode ?? -1, child.said, String(decoding: FileManager.default.contents(atPath: errors) ?? Data(), as: UTF8.self))
}

/// The same for both, for what cannot fail to start.
@discardableResult
public func run(_ words: String...) -> (code: Int32, output: String) {
  do {
    let (code, output, errors) = try run(words)
    return (code, output + errors)
  } catch { return (-1, "\(error)") }
}

/// `words` as execve(2) takes them.
func withCStrings(_ words: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32) -> Int32 {
  let pointers = words.map { strdup($0) } + [nil]
  defer { pointers.forEach { free($0) } }
  return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
}

/// The path of a program that was built beside the tests.
public func built(_ program: String) -> String {
  URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(path: program).path
}

public import Foundation
import Glibc

/// A running `fuse-probe` with its folder and mountpoint, all in one temporary folder; `remove` cleans up whatever happened.
public final class ProbeMount {
  public let folder: String
  public let process: Process
  private let log: String

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
      guard mkdtemp(&template) != nil else { throw ProbeError("no temporary folder") }
      folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    log = folder + (over == nil ? "/log" : "/log-again")
    mkdir(folder + "/mnt", 0o755)
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    process = Process()
    process.executableURL = URL(fileURLWithPath: Self.program)
    process.arguments = [mode, folder + "/back", folder + "/mnt"] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardOutput = FileHandle(forWritingAtPath: log)
    process.standardError = process.standardOutput
    try process.run()
    try eventually("the probe is ready") { said.contains("ready") || !process.isRunning }
    if !said.contains("ready") { throw ProbeError(said) }
  }

  /// In memory where that can be had: a disk that is busy with something else makes every write wait.
  private static var temporary: String {
    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : FileManager.default.temporaryDirectory.path
  }

  /// Beside the test program.
  public static var program: String {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path + "/fuse-probe"
  }

  public func path(_ name: String) -> String { folder + "/mnt/" + name }
  /// Where the file system keeps it.
  public func backing(_ name: String) -> String { folder + "/back/tree/" + name }
  /// What it printed so far.
  public var said: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

  /// The worker below a supervisor; nil while there is none.
  public var worker: pid_t? {
    let pid = process.processIdentifier
    let children = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
    return children?.split(separator: " ").first.flatMap { pid_t($0) }
  }

  public func waitForExit() throws -> Int32 {
    try eventually("the probe has ended") { !process.isRunning }
    return process.terminationStatus
  }

  public func remove() {
    let last = worker
    run("/bin/umount", "-l", folder + "/mnt")
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    if let last { kill(last, SIGKILL) }
    process.waitUntilExit()
    // Never into a mount that is still there.
    if unlinkat(AT_FDCWD, folder + "/mnt", AT_REMOVEDIR) == 0 || errno == ENOENT {
      try? FileManager.default.removeItem(atPath: folder)
    }
  }
}

public struct ProbeError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// Waits until `condition` holds. - Throws: after 20 seconds.
public func eventually(_ what: String, _ condition: () throws -> Bool) throws {
  let end = ContinuousClock.now + .seconds(120)
  while try !condition() {
    guard ContinuousClock.now < end else { throw ProbeError("not within 120 s: \(what)") }
    usleep(5_000)
  }
}

/// Runs a program to its end. - Returns: its exit code and output.
@discardableResult
public func run(_ program: String, _ arguments: String...) -> (code: Int32, output: String) {
  let process = Process()
  let pipe = Pipe()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  process.standardOutput = pipe
  process.standardError = pipe
  guard (try? process.run()) != nil else { return (-1, "\(program) cannot be run") }
  let output = pipe.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

internal import Glibc

/// What went wrong in a test's own work.
public struct Failure: Error, CustomStringConvertible {
  public let words: String
  /// errno, where a system call failed.
  public let code: Int32
  public init(_ words: String, code: Int32 = 0) { (self.words, self.code) = (words, code) }
  public var description: String { code == 0 ? words : "\(words): \(String(cString: strerror(code)))" }
}

/// Seconds after which something hangs. Generous: a thousand tests share the machine, and how fast something is, benchmarks say.
public let patience = 120

/// Waits until `condition` holds. - Throws: after `seconds`.
public func eventually(_ what: String, seconds: Int = patience, _ condition: () throws -> Bool) throws {
  let end = ContinuousClock.now + .seconds(seconds)
  while try !condition() {
    guard ContinuousClock.now < end else { throw Failure("not within \(seconds) s: \(what)") }
    usleep(5_000)
  }
}

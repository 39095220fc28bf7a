internal import CLinux
internal import Glibc
internal import SystemPackage

/// A descriptor that a child gets under a number of its own.
struct Inherited {
  let source: CInt
  let target: CInt
  init(_ source: CInt, as target: CInt) {
    self.source = source
    self.target = target
  }
}

/// Starts `program` with 0, 1, 2 and `inherited`; every other descriptor is closed in the child.
/// - Parameter name: argument 0.
/// - Parameter environment: added to this process's.
func spawn(
  _ program: String, name: String, _ arguments: [String], environment: [String], inherited: [Inherited], newSession: Bool
) -> Result<pid_t, Errno> {
  // Above every target, so that no dup2 in the child overwrites a source that is still needed.
  let lifted = inherited.map { fcntl($0.source, F_DUPFD_CLOEXEC, 64) }
  defer { lifted.filter { $0 >= 0 }.forEach { close($0) } }
  guard lifted.allSatisfy({ $0 >= 0 }) else { return .failure(Errno(rawValue: errno)) }
  let pairs = zip(lifted, inherited).map { clinux_inheritance(source: $0, target: $1.target) }
  var process: pid_t = 0
  let error = withCStrings([name] + arguments) { arguments in
    withCStrings(environment + currentEnvironment(without: environment)) { environment in
      clinux_spawn(&process, program, arguments, environment, pairs, CInt(pairs.count), newSession ? 1 : 0)
    }
  }
  return error == 0 ? .success(process) : .failure(Errno(rawValue: error))
}

private func currentEnvironment(without replaced: [String]) -> [String] {
  let names = Set(replaced.map { $0.prefix { $0 != "=" } })
  var words: [String] = []
  var next = clinux_environment()
  while let word = next?.pointee {
    let text = String(cString: word)
    if !names.contains(text.prefix { $0 != "=" }) { words.append(text) }
    next = next?.advanced(by: 1)
  }
  return words
}

/// Calls `body` with a NULL-terminated array of C strings.
private func withCStrings<Value>(
  _ words: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
) -> Value {
  var pointers = words.map { strdup($0) }
  pointers.append(nil)
  defer { pointers.forEach { free($0) } }
  return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
}

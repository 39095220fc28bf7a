internal import Spool
internal import SystemPackage

/// The only place where a failure becomes an errno. The switch has no `default`: a new case must be thought about.
func errno(for error: SpoolError) -> Errno {
  switch error {
  case .io(let error, _): error
  case .noSpace: .noSpace
  // What the journal vouches for is about to change and the journal cannot be told: nothing has been written.
  case .journal: .ioError
  // The node was deleted between the kernel's lookup and now.
  case .missing: .noSuchFileOrDirectory
  }
}

/// Runs `body` and translates its error.
func translated<Value>(_ body: () throws(SpoolError) -> Value) throws(Errno) -> Value {
  do { return try body() } catch { throw errno(for: error) }
}

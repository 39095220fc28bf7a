public import SystemPackage
internal import UploadCore

/// What can go wrong between a recording and its spool. errno is chosen in RecordingFS/ErrnoMapping.swift.
public enum SpoolError: Error, Equatable, Sendable {
  /// A call on the backing tree failed; `what` names it for the log.
  case io(Errno, what: String)
  /// The journal could not take a change that must be known before bytes change.
  case journal(String)
  /// The journal or the spool has no space left.
  case noSpace
  /// The recording is not there any more.
  case missing

  init(_ error: JournalError) { self = error.kind == .full ? .noSpace : .journal(error.message) }
}

/// Why a state directory could not be opened; the message says what to do.
public struct StateDirectoryError: Error, CustomStringConvertible, Sendable {
  public let description: String
  public init(_ description: String) { self.description = description }
}

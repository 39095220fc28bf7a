/// What an answer that is not a yes means: what is to be done about it.
package enum S3Meaning: Sendable, Equatable {
  // Wait and send again.
  case transient
  /// A proxy found nobody behind it.
  case unreachable
  /// The same, and less of it at once.
  case throttled
  /// Our clock is wrong by more than 15 minutes: take `S3Answer.serverTime`, sign again, once.
  case clockSkewed
  /// Sign for this region (`S3Location.moved`); nil: the server does not say which.
  case wrongRegion(String?)

  // A person must mend it; every recording is stopped by it.
  case credentialsRefused
  case misconfigured
  case full

  // About one upload.
  /// The bytes arrived otherwise than they were described: read and send them again, a few times.
  case damaged
  /// The server has forgotten the upload: begin a new one and send everything again.
  case uploadGone
  /// The upload was to be completed and is gone: an earlier answer may have been lost. Look at the object first.
  case perhapsCompleted
  /// Server and client disagree about the parts: list them and send again what differs.
  case partsDisagree
  /// Another request got in between: begin a new upload.
  case conflict

  // About one object.
  case objectMissing
  /// A condition was not met: the object is another one, or one is there already.
  case objectChanged
  /// The server cannot do it this way; another way may be there.
  case unsupported
  /// Never, for this recording.
  case rejected
}

/// An answer that is not a yes.
package struct S3Refusal: Error, Sendable, Equatable {
  package let meaning: S3Meaning
  /// What is wrong and what to do, in one line.
  package let words: String
  /// The server's own word for it; nil when it gave none.
  package let code: String?
  /// Seconds to wait at least; nil: not said.
  package let retryAfter: Int64?
}

/// `<Error>`, the document that S3 refuses with.
struct S3ErrorDocument: Equatable {
  let code: String
  let message: String?
  /// Where the bucket is, when the request went elsewhere.
  let region: String?

  init?(_ root: XMLElement) {
    guard root.name == "Error", let code = root.value("Code") else { return nil }
    self.code = String(code.prefix(128))
    self.message = root.value("Message")
    self.region = root.value("Region")
  }
}

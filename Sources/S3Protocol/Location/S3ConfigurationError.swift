/// Why a destination or its credentials cannot be used, before anything is sent.
package enum S3ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  case notAnAddress(String)
  case badBucket(String, String)
  case badRegion(String)
  case unusableEndpoint(String, String)
  case styleNeedsName(endpoint: String)
  case badStyle(String)
  case emptyKey
  case keyTooLong(bytes: Int)
  /// A line of a profile file that cannot be read.
  case badProfileFile(file: String, line: Int, String)
  case profileMissing(String, files: [String])
  case noCredentials(looked: [String])
  /// One half of a pair of keys is there.
  case halfCredentials(place: String, missing: String)
  /// The profile gets its keys in a way that is not built.
  case unsupportedProfile(String, setting: String)
  case unusableCredential(place: String, name: String)

  package var description: String {
    switch self {
    case .notAnAddress(let text): "\"\(text)\" is not an S3 destination; write s3://bucket/prefix"
    case .badBucket(let name, let rule): "\"\(name)\" cannot be the name of a bucket: \(rule)"
    case .badRegion(let name): "\"\(name)\" cannot be the name of a region; it looks like eu-central-1"
    case .unusableEndpoint(let text, let reason): "the S3 endpoint \"\(text)\" cannot be used: \(reason)"
    case .styleNeedsName(let endpoint):
      "\(endpoint) is an address without a name, so the bucket cannot be put before it; use the path style"
    case .badStyle(let text): "\"\(text)\" is not an addressing style; write auto, virtual or path"
    case .emptyKey: "an object of S3 needs a name"
    case .keyTooLong(let bytes):
      "the path is too long for S3: with the prefix it has \(bytes) bytes, S3 takes \(S3Key.byteCountMax); "
        + "rename the recording or shorten the prefix"
    case .badProfileFile(let file, let line, let reason): "\(file), line \(line): \(reason)"
    case .profileMissing(let name, let files):
      "the AWS profile \"\(name)\" is neither in \(files.joined(separator: " nor in ")); check AWS_PROFILE"
    case .noCredentials(let looked):
      "no AWS credentials found (looked at \(looked.joined(separator: ", "))); set AWS_ACCESS_KEY_ID and "
        + "AWS_SECRET_ACCESS_KEY, or run `aws configure`"
    case .halfCredentials(let place, let missing): "\(place): \(missing) is missing; the two keys belong together"
    case .unsupportedProfile(let name, let setting):
      "the AWS profile \"\(name)\" uses \(setting), which is not built; put keys into the environment, for example with "
        + "`eval \"$(aws configure export-credentials --profile \(name) --format env)\"`"
    case .unusableCredential(let place, let name):
      "\(place): \(name) must be visible ASCII characters without spaces, at most \(S3Credentials.byteCountMax)"
    }
  }
}

/// Which status and which error code of S3 mean what: the only place that knows.
package enum S3AnswerTable {
  /// - Parameter answer: not a success; or one that carries an `<Error>`.
  package static func refusal(of answer: S3Answer, to operation: S3Operation, at location: S3Location) -> S3Refusal {
    let document = (try? XMLReader.read(answer.body)).flatMap(S3ErrorDocument.init)
    let region = answer.headers["x-amz-bucket-region"] ?? document?.region
    let refused = RefusedRequest(
      answer: answer, document: document, region: region, operation: operation, location: location)
    let (meaning, sentence) = byRegion(refused) ?? byCode(refused) ?? byStatus(refused)
    return S3Refusal(
      meaning: meaning, words: sentence + (refused.serverWords.map { " (\($0))" } ?? ""), code: document?.code,
      retryAfter: answer.retryAfter)
  }

  private typealias Row = (S3Meaning, String)

  // MARK: Regions

  /// A bucket elsewhere is told by 301, 307, or 400, and to HEAD without a document.
  private static func byRegion(_ refused: RefusedRequest) -> Row? {
    guard let region = refused.region, region != refused.location.region else { return nil }
    switch (refused.status, refused.code) {
    case (301, _), (307, _), (400, nil), (403, nil), (_, "PermanentRedirect"), (_, "AuthorizationHeaderMalformed"),
      (_, "IllegalLocationConstraintException"):
      return (
        .wrongRegion(region),
        "the bucket \(refused.bucket) is in the region \(region), not in \(refused.location.region); "
          + "set AWS_REGION=\(region)")
    default: return nil
    }
  }

  // MARK: Error codes

  private static func byCode(_ refused: RefusedRequest) -> Row? {
    guard let code = refused.code else { return nil }
    return aboutDestination(code, refused) ?? aboutTime(code, refused) ?? aboutUpload(code, refused)
      ?? aboutObject(code, refused)
  }

  private static func aboutDestination(_ code: String, _ refused: RefusedRequest) -> Row? {
    switch code {
    case "NoSuchBucket", "InvalidBucketName":
      (.misconfigured, "there is no bucket \(refused.bucket) at \(refused.host); create it, or name another one after s3://")
    case "PermanentRedirect", "AuthorizationHeaderMalformed":
      (.wrongRegion(nil), "the bucket \(refused.bucket) is not in the region \(refused.location.region); set AWS_REGION")
    case "AccessDenied", "AllAccessDisabled", "AccountProblem", "NotSignedUp", "UnauthorizedAccess":
      (.credentialsRefused,
        "the access key may not \(refused.deed) in the bucket \(refused.bucket); allow it there, or use other keys")
    case "InvalidAccessKeyId", "InvalidClientTokenId":
      (.credentialsRefused, "\(refused.host) does not know the access key; check AWS_ACCESS_KEY_ID or the profile")
    case "SignatureDoesNotMatch":
      (.credentialsRefused,
        "\(refused.host) refuses the signature; most likely the secret access key is not the one of this key id")
    case "ExpiredToken", "TokenRefreshRequired", "InvalidToken":
      (.credentialsRefused, "the session token has expired or is not valid; get new temporary keys")
    case "QuotaExceeded", "ServiceQuotaExceeded", "InsufficientCapacity", "InsufficientStorage", "StorageFull",
      "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
      (.full, "the bucket \(refused.bucket) is full; free space there or raise its quota")
    case let code where code.hasPrefix("KMS."):
      (.misconfigured, "the key that encrypts the bucket \(refused.bucket) cannot be used; check it in KMS")
    default: nil
    }
  }

  private static func aboutTime(_ code: String, _ refused: RefusedRequest) -> Row? {
    switch code {
    case "RequestTimeTooSkewed", "RequestExpired":
      (.clockSkewed, "this machine's clock is more than 15 minutes wrong for \(refused.host); set it (timedatectl)")
    case "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests",
      "BandwidthLimitExceeded":
      (.throttled, "\(refused.host) asks to slow down")
    case "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "TemporaryRedirect":
      (.transient, "\(refused.host) cannot just now")
    default: nil
    }
  }

  private static func aboutUpload(_ code: String, _ refused: RefusedRequest) -> Row? {
    switch code {
    case "NoSuchUpload" where refused.operation == .completeUpload:
      (.perhapsCompleted, "the upload is gone; perhaps the object is whole already")
    case "NoSuchUpload":
      (.uploadGone, "\(refused.host) has forgotten the upload, so it begins anew; does a lifecycle rule end uploads early?")
    case "InvalidPart", "InvalidPartOrder", "EntityTooSmall":
      (.partsDisagree, "the parts at \(refused.host) are not those that were sent")
    case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody":
      (.damaged, "the bytes arrived damaged at \(refused.host)")
    case "ConditionalRequestConflict":
      (.conflict, "another request changed the object meanwhile, so the upload begins anew")
    // No store's limit is below the 64 MiB of the largest usual part: Swift says this of a bucket's quota.
    case "EntityTooLarge" where refused.operation == .putObject || refused.operation == .uploadPart:
      (.full, "\(refused.host) takes no more into the bucket \(refused.bucket); free space there or raise its quota")
    case "EntityTooLarge":
      (.rejected, "\(refused.host) takes no object or part of this size")
    case "InvalidRequest" where refused.status == 412: (.objectChanged, "an object of this name is there already")
    default: nil
    }
  }

  private static func aboutObject(_ code: String, _ refused: RefusedRequest) -> Row? {
    switch code {
    case "NoSuchKey", "NoSuchVersion": (.objectMissing, "the object is not in the bucket \(refused.bucket)")
    case "PreconditionFailed": (.objectChanged, "the object at \(refused.host) is not the expected one")
    case "InvalidRange": (.objectChanged, "the object at \(refused.host) is shorter than expected")
    case "KeyTooLongError", "InvalidURI", "InvalidObjectName":
      (.rejected, "\(refused.host) takes no object of this name; rename the recording")
    case "MetadataTooLarge": (.rejected, "the recording's attributes are too long for S3; remove some")
    case "InvalidObjectState":
      (.rejected, "the object is in an archive; restore it at \(refused.host) before it is read")
    case "NotImplemented", "MethodNotAllowed": (.unsupported, "\(refused.host) cannot \(refused.deed)")
    default: nil
    }
  }

  // MARK: Status alone: HEAD, proxies, and codes that nobody knows

  private static func byStatus(_ refused: RefusedRequest) -> Row {
    switch refused.status {
    case ..<300: (.transient, "\(refused.host) said yes and then an error")
    case 301, 302, 303, 308:
      (.misconfigured, "\(refused.host) redirects\(refused.target); use the server's own address with --s3-endpoint")
    case 307: (.transient, "\(refused.host) redirects\(refused.target) for the time being")
    case 400 where refused.operation == .headBucket || refused.operation == .headObject:
      // Without a document Amazon means: expired token, wrong region, or a bucket name that cannot be.
      (.credentialsRefused, "\(refused.host) refuses the request without saying why; check the keys, the session token and the region")
    case 401, 403:
      (.credentialsRefused, "\(refused.host) does not let us \(refused.deed); check the keys and their rights")
    case 402, 507: (.full, "the bucket \(refused.bucket) is full; free space there or raise its quota")
    case 404: missing(refused)
    case 405, 501: (.unsupported, "\(refused.host) cannot \(refused.deed)")
    case 407: (.credentialsRefused, "the proxy asks for credentials")
    case 408, 425: (.transient, "\(refused.host) cannot just now")
    case 409: (.conflict, "another request changed the object meanwhile, so the upload begins anew")
    case 412: (.objectChanged, "the object at \(refused.host) is not the expected one")
    case 413: (.rejected, "a proxy before \(refused.host) takes no body of this size; raise its limit")
    case 416: (.objectChanged, "the object at \(refused.host) is shorter than expected")
    case 429: (.throttled, "\(refused.host) asks to slow down")
    case 502, 504: (.unreachable, "the proxy at \(refused.host) does not reach the store (\(refused.status))")
    case 503: (.throttled, "\(refused.host) is not available")
    case 500...: (.transient, "\(refused.host) answered \(refused.status)")
    default: (.rejected, "\(refused.host) answered \(refused.status)")
    }
  }

  private static func missing(_ refused: RefusedRequest) -> Row {
    switch refused.operation {
    case .headObject where refused.code == nil: (.objectMissing, "the object is not in the bucket \(refused.bucket)")
    case .headBucket where refused.code == nil:
      (.misconfigured, "there is no bucket \(refused.bucket) at \(refused.host); create it, or name another one after s3://")
    default: (.misconfigured, "\(refused.host) does not answer as an S3 server does; check the address")
    }
  }
}

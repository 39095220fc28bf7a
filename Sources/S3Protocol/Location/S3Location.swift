/// Where recordings go: a bucket, a prefix in it, and how the server is addressed.
package struct S3Location: Sendable, Equatable {
  /// How the bucket is named to the server.
  package enum Style: String, Sendable, CaseIterable {
    /// `https://bucket.host/key`: what Amazon wants.
    case virtualHost = "virtual"
    /// `https://host/bucket/key`: what everybody else understands.
    case path
  }

  package let bucket: String
  /// Put before every path, with a slash between; no slash at either end; may be empty.
  package let prefix: String
  /// Where requests go to, as `scheme://host[:port]`, the bucket's name included if that is the style.
  package let origin: String
  /// The value of the `host` header: with the port unless it is the scheme's own.
  package let host: String
  /// Signed into every request.
  package let region: String
  package let style: Style
  /// Without the bucket's name.
  package let endpoint: S3Endpoint

  /// - Parameters:
  ///   - endpoint: nil: Amazon's, in `region`.
  ///   - style: nil: by host name at Amazon, unless the bucket's name has dots, which its certificate does not cover; by
  ///     path at any other endpoint.
  package init(
    bucket: String, prefix: String, endpoint: S3Endpoint?, region: String, style: Style? = nil
  ) throws(S3ConfigurationError) {
    try BucketName.check(bucket)
    try S3Region.check(region)
    let endpoint = endpoint ?? S3Endpoint.amazon(region: region)
    let chosen = style ?? (endpoint.isAmazon && !bucket.contains(".") ? .virtualHost : .path)
    guard chosen == .path || endpoint.canCarryBucket else { throw .styleNeedsName(endpoint: endpoint.description) }
    let authority = (chosen == .virtualHost ? bucket + "." : "") + endpoint.authority
    self.bucket = bucket
    self.prefix = prefix
    self.origin = endpoint.scheme.rawValue + "://" + authority
    self.host = authority
    self.region = region
    self.style = chosen
    self.endpoint = endpoint
  }

  /// Reads `s3://bucket/prefix`.
  package static func parse(_ text: String) throws(S3ConfigurationError) -> (bucket: String, prefix: String) {
    guard text.hasPrefix("s3://") else { throw .notAnAddress(text) }
    let rest = text.dropFirst(5)
    let bucket = rest.prefix { $0 != "/" }
    try BucketName.check(String(bucket))
    var prefix = rest.dropFirst(bucket.count)
    while prefix.first == "/" { prefix.removeFirst() }
    while prefix.last == "/" { prefix.removeLast() }
    return (String(bucket), String(prefix))
  }

  /// The key of the recording at `path`: bytes below the mount's root, without a leading slash.
  package func key(ofPath path: [UInt8]) throws(S3ConfigurationError) -> S3Key {
    try S3Key(prefix.isEmpty ? path : Array(prefix.utf8) + [UInt8(ascii: "/")] + path)
  }

  /// Encoded once; nil: the bucket's own.
  func path(of key: S3Key?) -> String {
    let object = key.map { PercentEncoding.path($0.bytes) }
    return switch style {
    case .virtualHost: "/" + (object ?? "")
    case .path: "/" + bucket + (object.map { "/" + $0 } ?? "")
    }
  }

  /// The same place, signed for another region; at Amazon also sent to that region's address.
  package func moved(to region: String) throws(S3ConfigurationError) -> S3Location {
    try S3Location(
      bucket: bucket, prefix: prefix, endpoint: endpoint.isAmazon ? nil : endpoint, region: region, style: style)
  }

  /// For people: never holds a secret.
  package var description: String { "s3://" + bucket + (prefix.isEmpty ? "" : "/" + prefix) }
}

internal import Crypto

/// Signs requests with AWS Signature Version 4, in headers, over the true SHA-256 of the body.
///
/// By hand, because libcurl's own (7.88.1, Debian 12) signs path and query as they are given and so fails for a key
/// with `=`, `(` or `'`, and for a query that is not sorted. A signature is good for 15 minutes: sign when sending, and
/// again for each retry.
package struct S3Signer: Sendable {
  package let credentials: S3Credentials
  package let region: String
  /// Deriving a key is four HMACs; it is good for one day.
  private var dayKey: (day: String, key: [UInt8])?

  package init(credentials: S3Credentials, region: String) {
    self.credentials = credentials
    self.region = region
  }

  package mutating func sign(_ request: S3Request, to location: S3Location, at time: SigningTime) -> S3SignedRequest {
    let path = location.path(of: request.key)
    let query = Self.canonicalQuery(request.query)
    let url = location.origin + path + (query.isEmpty ? "" : "?" + query)
    var headers = request.headers + [
      S3Header("host", location.host), S3Header("x-amz-content-sha256", Hex.text(request.body.sha256)),
      S3Header("x-amz-date", time.stamp),
    ]
    if let token = credentials.sessionToken { headers.append(S3Header("x-amz-security-token", token)) }
    headers.sort { $0.name < $1.name }
    headers.append(
      authorization(
        at: time, names: headers.map(\.name),
        canonical: Self.canonicalRequest(request, path: path, query: query, headers: headers)))
    return S3SignedRequest(method: request.method, url: url, headers: headers, body: request.body)
  }

  // MARK: The four steps of the specification

  /// Names and values encoded, sorted by encoded name, then value; a name without a value keeps its `=`.
  /// What is signed is also what is sent.
  static func canonicalQuery(_ query: [S3QueryItem]) -> String {
    query.map { (PercentEncoding.component($0.name.utf8), PercentEncoding.component($0.value)) }
      .sorted { $0 < $1 }
      .map { $0 + "=" + $1 }.joined(separator: "&")
  }

  /// - Parameter headers: lower-case names, sorted.
  private static func canonicalRequest(
    _ request: S3Request, path: String, query: String, headers: [S3Header]
  ) -> String {
    let lines = headers.map { $0.name + ":" + canonicalValue($0.value) + "\n" }.joined()
    let names = headers.map(\.name).joined(separator: ";")
    return [request.method.rawValue, path, query, lines, names, Hex.text(request.body.sha256)].joined(separator: "\n")
  }

  /// Without spaces at the ends, and one where there are several.
  private static func canonicalValue(_ value: String) -> String {
    value.utf8.split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
  }

  private mutating func authorization(at time: SigningTime, names: [String], canonical: String) -> S3Header {
    let scope = "\(time.day)/\(region)/s3/aws4_request"
    let toSign = ["AWS4-HMAC-SHA256", time.stamp, scope, Hex.text(SHA256.hash(data: Array(canonical.utf8)))]
    let signature = Self.hmac(signingKey(of: time.day), toSign.joined(separator: "\n"))
    return S3Header(
      "authorization",
      "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope), SignedHeaders=\(names.joined(separator: ";")), "
        + "Signature=\(Hex.text(signature))")
  }

  private mutating func signingKey(of day: String) -> [UInt8] {
    if let dayKey, dayKey.day == day { return dayKey.key }
    let secret = Array("AWS4".utf8) + Array(credentials.secretAccessKey.utf8)
    let key = [day, region, "s3", "aws4_request"].reduce(secret) { Self.hmac($0, $1) }
    dayKey = (day, key)
    return key
  }

  private static func hmac(_ key: [UInt8], _ message: String) -> [UInt8] {
    Array(HMAC<SHA256>.authenticationCode(for: Array(message.utf8), using: SymmetricKey(data: key)))
  }
}

/// A request as it goes on the wire, byte for byte as it was signed: whoever sends it must not touch path or query
/// (libcurl: `CURLOPT_PATH_AS_IS`), nor the order or the number of the headers here.
package struct S3SignedRequest: Sendable, Equatable {
  package let method: S3Method
  package let url: String
  /// Lower-case names, `host` among them. Content-Length is not: it belongs to the sender, and is not signed.
  package let headers: [S3Header]
  package let body: S3Body
}

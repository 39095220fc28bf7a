extension S3Request {
  /// Is the bucket there, and may we? An answer has no body: only its status and its region count.
  package static func headBucket() -> S3Request { S3Request(.headBucket, .head) }

  /// A recording that fits one part.
  package static func putObject(
    _ key: S3Key, _ content: S3Content, metadata: S3Metadata = .none, contentType: String = defaultContentType
  ) -> S3Request {
    S3Request(
      .putObject, .put, key: key,
      headers: [S3Header("content-type", contentType)] + integrity(of: content) + metadata.headers,
      body: .content(content))
  }

  /// - Parameter checksums: ask for `x-amz-checksum-*` too.
  package static func headObject(_ key: S3Key, checksums: Bool = false) -> S3Request {
    S3Request(.headObject, .head, key: key, headers: checksums ? [S3Header("x-amz-checksum-mode", "ENABLED")] : [])
  }

  /// - Parameters:
  ///   - range: bytes from the start of the object, not empty; nil: all of it.
  ///   - etag: answered with 412 when the object is another one by now.
  package static func getObject(_ key: S3Key, range: Range<Int64>? = nil, ifMatch etag: String? = nil) -> S3Request {
    var headers: [S3Header] = []
    if let range { headers.append(S3Header("range", byteRange(range))) }
    if let etag { headers.append(S3Header("if-match", "\"\(etag)\"")) }
    return S3Request(.getObject, .get, key: key, headers: headers)
  }

  package static var defaultContentType: String { "application/octet-stream" }

  /// Content-MD5 is the check that most servers make, next to the signed SHA-256 that every request has.
  static func integrity(of content: S3Content) -> [S3Header] {
    [S3Header("content-md5", Base64Text.text(content.md5))] + (content.checksum.map { [$0.header] } ?? [])
  }

  static func byteRange(_ range: Range<Int64>) -> String {
    precondition(range.lowerBound >= 0 && !range.isEmpty, "a byte range of S3 has a first and a last byte")
    return "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
  }
}

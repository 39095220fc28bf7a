extension S3Request {
  /// - Parameter checksum: declares that complete will bring the checksum of the whole object; Amazon only.
  package static func createUpload(
    _ key: S3Key, metadata: S3Metadata = .none, contentType: String = defaultContentType,
    checksum: S3Checksum.Algorithm? = nil
  ) -> S3Request {
    var headers = [S3Header("content-type", contentType)]
    if let checksum {
      headers.append(S3Header("x-amz-checksum-algorithm", checksum.rawValue))
      headers.append(S3Header("x-amz-checksum-type", "FULL_OBJECT"))
    }
    return S3Request(
      .createUpload, .post, key: key, query: [S3QueryItem("uploads")], headers: headers + metadata.headers)
  }

  /// Sending a part again replaces it; two of one number must never be on their way at once.
  /// - Parameter number: 1...`PartPlan.partCountMax`.
  package static func uploadPart(
    _ number: Int, of upload: S3Upload, _ content: S3Content
  ) -> S3Request {
    S3Request(
      .uploadPart, .put, key: upload.key, query: part(number, upload), headers: integrity(of: content),
      body: .content(content))
  }

  /// Takes bytes of an object in the same bucket as a part, without sending them again.
  /// - Parameters:
  ///   - range: at least 5 MiB unless it is the last part, at most 5 GiB.
  ///   - etag: the source must still be this very object; nil: whatever is there.
  package static func copyPart(
    _ number: Int, of upload: S3Upload, from source: S3Key, in bucket: String, range: Range<Int64>,
    ifMatch etag: String? = nil
  ) -> S3Request {
    var headers = [
      // The header's value is encoded as a path is: the server decodes it once.
      S3Header("x-amz-copy-source", bucket + "/" + PercentEncoding.path(source.bytes)),
      S3Header("x-amz-copy-source-range", byteRange(range)),
    ]
    if let etag { headers.append(S3Header("x-amz-copy-source-if-match", "\"\(etag)\"")) }
    return S3Request(.copyPart, .put, key: upload.key, query: part(number, upload), headers: headers)
  }

  /// Puts the object together. The answer can be 200 and still carry an error: read it with `S3Answer.completed`.
  /// - Parameters:
  ///   - parts: in any order, each number once; gaps are allowed.
  ///   - size: of the whole object: Amazon refuses another one; nil: not said.
  ///   - checksum: of the whole object, of the algorithm that create declared; nil: none.
  package static func completeUpload(
    _ upload: S3Upload, parts: [S3Part], size: Int64? = nil, checksum: S3Checksum? = nil
  ) -> S3Request {
    var headers = [S3Header("content-type", "application/xml")]
    if let size { headers.append(S3Header("x-amz-mp-object-size", String(size))) }
    if let checksum {
      headers.append(checksum.header)
      headers.append(S3Header("x-amz-checksum-type", "FULL_OBJECT"))
    }
    return S3Request(
      .completeUpload, .post, key: upload.key, query: [S3QueryItem("uploadId", upload.id)], headers: headers,
      body: .document(completionDocument(parts)))
  }

  /// Parts on their way may still land afterwards: repeat until `listParts` says that the upload is gone.
  package static func abortUpload(_ upload: S3Upload) -> S3Request {
    S3Request(.abortUpload, .delete, key: upload.key, query: [S3QueryItem("uploadId", upload.id)])
  }

  private static func part(_ number: Int, _ upload: S3Upload) -> [S3QueryItem] {
    precondition(1...PartPlan.partCountMax ~= number, "parts are numbered from 1 to \(PartPlan.partCountMax)")
    return [S3QueryItem("partNumber", String(number)), S3QueryItem("uploadId", upload.id)]
  }

  /// 10,000 parts are 0.9 MB of text.
  private static func completionDocument(_ parts: [S3Part]) -> [UInt8] {
    var text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
    for part in parts.sorted(by: { $0.number < $1.number }) {
      text += "<Part><PartNumber>\(part.number)</PartNumber><ETag>&quot;\(XMLText.escaped(part.etag))&quot;</ETag></Part>"
    }
    return Array((text + "</CompleteMultipartUpload>").utf8)
  }
}

/// A multipart upload that a server has opened.
package struct S3Upload: Sendable, Hashable {
  package let key: S3Key
  /// The server's own words, at most 1,024 bytes.
  package let id: String

  package init(key: S3Key, id: String) {
    self.key = key
    self.id = id
  }
}

/// A part as the server holds it.
package struct S3Part: Sendable, Hashable {
  package let number: Int
  /// Without its quotes. The MD5 of the part in hexadecimal, unless the server encrypts with keys of its own.
  package let etag: String

  package init(number: Int, etag: String) {
    self.number = number
    self.etag = etag
  }
}

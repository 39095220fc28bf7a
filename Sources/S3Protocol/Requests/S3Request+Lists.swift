extension S3Request {
  /// Which parts the server holds, a page at a time.
  /// - Parameter after: part number where the page before ended; nil: from the first.
  package static func listParts(_ upload: S3Upload, after marker: Int? = nil) -> S3Request {
    var query = [S3QueryItem("uploadId", upload.id), S3QueryItem("max-parts", String(pageMax))]
    if let marker { query.append(S3QueryItem("part-number-marker", String(marker))) }
    return S3Request(.listParts, .get, key: upload.key, query: query)
  }

  /// Which uploads are open below a prefix: after a lost answer to create, the id is found here.
  /// - Parameters:
  ///   - prefix: bytes of the beginning of the keys.
  ///   - after: where the page before ended; nil: from the first.
  package static func listUploads(below prefix: [UInt8], after marker: S3UploadMarker? = nil) -> S3Request {
    // Keys may hold bytes that XML cannot: they come back percent-encoded.
    var query = [
      S3QueryItem("uploads"), S3QueryItem("encoding-type", "url"), S3QueryItem("max-uploads", String(pageMax)),
    ]
    if !prefix.isEmpty { query.append(S3QueryItem("prefix", bytes: prefix)) }
    if let marker {
      query.append(S3QueryItem("key-marker", bytes: marker.key))
      query.append(S3QueryItem("upload-id-marker", marker.id))
    }
    return S3Request(.listUploads, .get, query: query)
  }

  /// No server gives more.
  private static var pageMax: Int { 1_000 }
}

/// Where a page of open uploads ended.
package struct S3UploadMarker: Sendable, Hashable {
  package let key: [UInt8]
  package let id: String

  package init(key: [UInt8], id: String) {
    self.key = key
    self.id = id
  }
}

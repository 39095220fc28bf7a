package struct S3PartsPage: Sendable, Equatable {
  /// As the server sent them: ascending, at most 1,000.
  package let parts: [S3ListedPart]
  /// For the next page; nil: this was the last.
  package let next: Int?
}

package struct S3ListedPart: Sendable, Equatable {
  package let part: S3Part
  package let size: Int64
  /// When it came, in the server's words (RFC 3339); nil: not said.
  package let modified: String?

  package init(part: S3Part, size: Int64, modified: String? = nil) {
    self.part = part
    self.size = size
    self.modified = modified
  }
}

package struct S3UploadsPage: Sendable, Equatable {
  package let uploads: [S3ListedUpload]
  /// For the next page; nil: this was the last.
  package let next: S3UploadMarker?
}

package struct S3ListedUpload: Sendable, Equatable {
  package let upload: S3Upload
  /// When it was created, in the server's words (RFC 3339); nil: not said.
  package let initiated: String?

  package init(_ upload: S3Upload, initiated: String? = nil) {
    self.upload = upload
    self.initiated = initiated
  }
}

/// What HEAD tells of an object.
package struct S3ObjectFacts: Sendable, Equatable {
  package let size: Int64
  package let etag: String?
  /// Of the whole object, as base64, if asked for and known.
  package let checksums: [S3Checksum.Algorithm: String]

  /// Whether this is the object that was sent: its size, and its ETag as it must be for these parts.
  /// - Parameter etag: `S3ETag.ofObject`.
  /// - Returns: nil when the ETag is of a kind that cannot be compared (the server encrypts with keys of its own).
  package func isObject(ofSize size: Int64, etag expected: String) -> Bool? {
    guard self.size == size else { return false }
    guard let etag, S3ETag.isComparable(etag) else { return nil }
    return etag.lowercased() == expected
  }
}

package enum S3Method: String, Sendable, CaseIterable {
  case get = "GET"
  case head = "HEAD"
  case put = "PUT"
  case post = "POST"
  case delete = "DELETE"
}

/// What a request is about: an answer means different things to different ones.
package enum S3Operation: Sendable, Equatable, CaseIterable {
  case headBucket, headObject, getObject, putObject
  case createUpload, uploadPart, copyPart, completeUpload, abortUpload
  case listParts, listUploads
}

/// One request of the S3 API as a value: neither signed nor tied to a server. `S3Signer` makes what is sent from it.
package struct S3Request: Sendable, Equatable {
  package let operation: S3Operation
  package let method: S3Method
  /// nil: the bucket itself.
  package let key: S3Key?
  package let query: [S3QueryItem]
  /// Lower-case names, each once; all of them are signed.
  package let headers: [S3Header]
  package let body: S3Body

  package init(
    _ operation: S3Operation, _ method: S3Method, key: S3Key? = nil, query: [S3QueryItem] = [],
    headers: [S3Header] = [], body: S3Body = .none
  ) {
    self.operation = operation
    self.method = method
    self.key = key
    self.query = query
    self.headers = headers
    self.body = body
  }
}

package struct S3QueryItem: Sendable, Equatable {
  package let name: String
  /// Bytes, not yet encoded: a prefix is part of a key.
  package let value: [UInt8]

  package init(_ name: String, bytes: [UInt8]) {
    self.name = name
    self.value = bytes
  }

  package init(_ name: String, _ value: String = "") { self.init(name, bytes: Array(value.utf8)) }
}

package struct S3Header: Sendable, Equatable {
  /// Lower case.
  package let name: String
  /// ASCII without line ends.
  package let value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }

  /// For a sender that takes whole lines.
  package var line: String { name + ": " + value }
}

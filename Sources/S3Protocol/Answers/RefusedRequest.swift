/// What the rows of the table look at.
struct RefusedRequest {
  let answer: S3Answer
  let document: S3ErrorDocument?
  let region: String?
  let operation: S3Operation
  let location: S3Location

  var status: Int { answer.status }
  var code: String? { document?.code }
  var bucket: String { location.bucket }
  var host: String { location.endpoint.authority }
  var target: String { answer.headers["location"].map { " to " + Words.line($0) } ?? "" }

  /// What the server says itself; nil when it is silent.
  var serverWords: String? {
    guard let document else { return words(of: answer.body) }
    let message = document.message.map { ": " + Words.line($0) } ?? ""
    return Words.line(document.code) + message
  }

  private func words(of body: [UInt8]) -> String? {
    let line = Words.line(String(decoding: body.prefix(1_024), as: UTF8.self))
    return line.isEmpty ? nil : line
  }

  /// What the request was for: "may not …".
  var deed: String {
    switch operation {
    case .headBucket: "look at the bucket"
    case .headObject, .getObject: "read objects"
    case .putObject, .createUpload, .uploadPart, .completeUpload: "store objects"
    case .copyPart: "copy parts of objects"
    case .abortUpload: "end uploads"
    case .listParts, .listUploads: "list uploads"
    }
  }
}

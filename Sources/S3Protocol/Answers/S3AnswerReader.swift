/// Reads what a server answered to each request: the value it was sent for, or why not.
package struct S3AnswerReader: Sendable {
  private let location: S3Location

  package init(_ location: S3Location) { self.location = location }

  /// The bucket is there and we may see it.
  package func bucket(_ answer: S3Answer) throws(S3Refusal) { try expectSuccess(answer, to: .headBucket) }

  package func object(_ answer: S3Answer) throws(S3Refusal) -> S3ObjectFacts {
    try expectSuccess(answer, to: .headObject)
    guard let size = answer.headers["content-length"].flatMap(S3Answer.number) else {
      throw notS3(answer, "an answer without the object's size")
    }
    return S3ObjectFacts(size: size, etag: answer.etag, checksums: checksums(answer))
  }

  /// - Returns: the ETag, if the server gives one.
  package func putObject(_ answer: S3Answer) throws(S3Refusal) -> String? {
    try expectSuccess(answer, to: .putObject)
    return answer.etag
  }

  package func createdUpload(_ answer: S3Answer, of key: S3Key) throws(S3Refusal) -> S3Upload {
    let root = try document(answer, "InitiateMultipartUploadResult", to: .createUpload)
    guard let id = root.value("UploadId"), id.utf8.count <= Self.uploadIDMax else {
      throw notS3(answer, "an upload without an id")
    }
    return S3Upload(key: key, id: id)
  }

  package func uploadedPart(_ answer: S3Answer, number: Int) throws(S3Refusal) -> S3Part {
    try expectSuccess(answer, to: .uploadPart)
    guard let etag = answer.etag else { throw notS3(answer, "a part without an ETag") }
    return S3Part(number: number, etag: etag)
  }

  package func copiedPart(_ answer: S3Answer, number: Int) throws(S3Refusal) -> S3Part {
    let root = try document(answer, "CopyPartResult", to: .copyPart)
    guard let etag = root.value("ETag") else { throw notS3(answer, "a part without an ETag") }
    return S3Part(number: number, etag: S3Answer.bare(etag))
  }

  /// - Returns: the ETag of the whole object.
  package func completedUpload(_ answer: S3Answer) throws(S3Refusal) -> String {
    let root = try document(answer, "CompleteMultipartUploadResult", to: .completeUpload)
    guard let etag = root.value("ETag") else { throw notS3(answer, "an object without an ETag") }
    return S3Answer.bare(etag)
  }

  /// An upload that is not there was aborted.
  package func abortedUpload(_ answer: S3Answer) throws(S3Refusal) {
    do throws(S3Refusal) {
      try expectSuccess(answer, to: .abortUpload)
    } catch {
      guard error.meaning == .uploadGone else { throw error }
    }
  }

  package func parts(_ answer: S3Answer) throws(S3Refusal) -> S3PartsPage {
    let root = try document(answer, "ListPartsResult", to: .listParts)
    var parts: [S3ListedPart] = []
    for element in root.children where element.name == "Part" {
      guard let number = element.value("PartNumber").flatMap(S3Answer.number), 1...Int64(PartPlan.partCountMax) ~= number,
        let size = element.value("Size").flatMap(S3Answer.number), let etag = element.value("ETag")
      else { throw notS3(answer, "a part without number, size or ETag") }
      let part = S3Part(number: Int(number), etag: S3Answer.bare(etag))
      parts.append(S3ListedPart(part: part, size: size, modified: element.value("LastModified")))
    }
    let next = try marker(root, answer) { $0.value("NextPartNumberMarker").flatMap(S3Answer.number).map(Int.init) }
    // A marker that does not go forward would have us ask for ever.
    if let next, let last = parts.last?.part.number, next < last { throw notS3(answer, "pages that go backwards") }
    return S3PartsPage(parts: parts, next: next)
  }

  package func uploads(_ answer: S3Answer) throws(S3Refusal) -> S3UploadsPage {
    let root = try document(answer, "ListMultipartUploadsResult", to: .listUploads)
    // Some servers ignore the encoding that was asked for, and then do not name it.
    let isEncoded = root.value("EncodingType") == "url"
    func key(_ text: String) -> [UInt8]? { isEncoded ? PercentEncoding.decoded(text) : Array(text.utf8) }
    var uploads: [S3ListedUpload] = []
    for element in root.children where element.name == "Upload" {
      guard let id = element.value("UploadId"), id.utf8.count <= Self.uploadIDMax, let text = element.value("Key"),
        let bytes = key(text), let name = try? S3Key(bytes)
      else { throw notS3(answer, "an upload without key or id") }
      uploads.append(S3ListedUpload(S3Upload(key: name, id: id), initiated: element.value("Initiated")))
    }
    let next = try marker(root, answer) { root in
      guard let text = root.value("NextKeyMarker"), let bytes = key(text) else { return nil as S3UploadMarker? }
      return S3UploadMarker(key: bytes, id: root.value("NextUploadIdMarker") ?? "")
    }
    return S3UploadsPage(uploads: uploads, next: next)
  }

  /// The bytes of a range.
  /// - Parameter range: what was asked for; nil: the whole object.
  package func bytes(_ answer: S3Answer, range: Range<Int64>?) throws(S3Refusal) -> [UInt8] {
    try expectSuccess(answer, to: .getObject)
    guard let range else { return answer.body }
    // A server that ignores ranges answers 200 and the whole object.
    guard answer.status == 206, Int64(answer.body.count) == range.upperBound - range.lowerBound,
      answer.headers["content-range"]?.hasPrefix("bytes \(range.lowerBound)-\(range.upperBound - 1)/") == true
    else { throw notS3(answer, "other bytes than those asked for") }
    return answer.body
  }

  // MARK: Checks

  /// Servers' ids have some dozen to some hundred characters.
  private static let uploadIDMax = 1_024

  private func expectSuccess(_ answer: S3Answer, to operation: S3Operation) throws(S3Refusal) {
    guard 200..<300 ~= answer.status else { throw S3AnswerTable.refusal(of: answer, to: operation, at: location) }
  }

  /// The document of a success, whose status may have been said before the server knew: `<Error>` counts, not 200.
  private func document(_ answer: S3Answer, _ name: String, to operation: S3Operation) throws(S3Refusal) -> XMLElement {
    try expectSuccess(answer, to: operation)
    let root: XMLElement
    do {
      root = try XMLReader.read(answer.body)
    } catch {
      let isBegun = answer.body.drop(while: XMLReader.isSpace).starts(with: "<?xml".utf8)
      let isEmpty = answer.body.allSatisfy(XMLReader.isSpace)
      guard isBegun || isEmpty else { throw notS3(answer, "something else than \(name)") }
      throw refusal(.transient, "the answer of \(location.endpoint.authority) was cut off", answer)
    }
    if Self.names(name).contains(root.name) { return root }
    if root.name == "Error" { throw S3AnswerTable.refusal(of: answer, to: operation, at: location) }
    throw notS3(answer, "<\(Words.line(root.name))> in place of <\(name)>")
  }

  /// Some servers name a document after the answer in place of the result (moto: `ListPartsResponse`).
  private static func names(_ name: String) -> [String] {
    [name] + (name.hasSuffix("Result") ? [name.dropLast("Result".count) + "Response"] : [])
  }

  private func marker<Marker>(
    _ root: XMLElement, _ answer: S3Answer, _ read: (XMLElement) -> Marker?
  ) throws(S3Refusal) -> Marker? {
    guard root.value("IsTruncated") == "true" else { return nil }
    guard let marker = read(root) else { throw notS3(answer, "a page that does not say where the next one begins") }
    return marker
  }

  private func checksums(_ answer: S3Answer) -> [S3Checksum.Algorithm: String] {
    guard answer.headers["x-amz-checksum-type"] != "COMPOSITE" else { return [:] }
    return S3Checksum.Algorithm.allCases.reduce(into: [:]) { $0[$1] = answer.headers[$1.headerName] }
  }

  /// A captive portal or another web server: that must stop the destination, not fail recording after recording.
  private func notS3(_ answer: S3Answer, _ what: String) -> S3Refusal {
    refusal(
      .misconfigured, "\(location.endpoint.authority) answered with \(what): is that an S3 server? Check the address", answer)
  }

  private func refusal(_ meaning: S3Meaning, _ words: String, _ answer: S3Answer) -> S3Refusal {
    S3Refusal(meaning: meaning, words: words, code: nil, retryAfter: answer.retryAfter)
  }
}

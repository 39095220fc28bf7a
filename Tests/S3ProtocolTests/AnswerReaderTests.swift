import S3Protocol
import Testing

@Suite("answers that say yes")
struct AnswerReaderTests {
  private let reader = S3AnswerReader(takes)
  private let key = try! S3Key("a b.wav")

  @Test("create: the id, with entities, a namespace, comments and white space before it")
  func created() throws {
    let answer = xml(
      """
      \n<?xml version="1.0" encoding="UTF-8"?>
      <!-- <UploadId>no</UploadId> -->
      <InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Bucket>takes</Bucket><Key>a&#x20;b&amp;c</Key><UploadId> VX<![CDATA[<2>]]>&quot; </UploadId>
      </InitiateMultipartUploadResult>
      """)
    #expect(try reader.createdUpload(answer, of: key) == S3Upload(key: key, id: "VX<2>\""))
  }

  @Test("a part's ETag comes from its header, a copied part's from its document")
  func parts() throws {
    let put = S3Answer(status: 200, headers: ["etag": "\"0011\""])
    #expect(try reader.uploadedPart(put, number: 3) == S3Part(number: 3, etag: "0011"))
    let copy = xml("<CopyPartResult><LastModified>x</LastModified><ETag>&quot;0022&quot;</ETag></CopyPartResult>")
    #expect(try reader.copiedPart(copy, number: 4) == S3Part(number: 4, etag: "0022"))
    #expect(throws: S3Refusal.self) { try reader.uploadedPart(S3Answer(status: 200), number: 3) }
  }

  @Test("complete: the ETag; an error within a 200 is an error")
  func completed() throws {
    let yes = xml(
      "   \n\n <CompleteMultipartUploadResult><Location>l</Location><ETag>\"ab-2\"</ETag></CompleteMultipartUploadResult>")
    #expect(try reader.completedUpload(yes) == "ab-2")
    let no = xml("  <?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>We, sorry</Message></Error>")
    #expect(refusal { _ = try reader.completedUpload(no) }?.meaning == .transient)
    let gone = xml("<Error><Code>NoSuchUpload</Code></Error>")
    #expect(refusal { _ = try reader.completedUpload(gone) }?.meaning == .perhapsCompleted)
    let odd = xml("<Error><Code>NeverSeen</Code></Error>")
    #expect(refusal { _ = try reader.completedUpload(odd) }?.meaning == .transient)
  }

  @Test("an answer cut off is tried again; one that is not S3's stops the destination")
  func brokenDocuments() throws {
    for text in ["", "  \n ", "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>"] {
      #expect(refusal { _ = try reader.completedUpload(xml(text)) }?.meaning == .transient, "\(text)")
    }
    for text in ["<html><body>Log in</body></html>", "hello", "{}", "<!DOCTYPE html><html></html>"] {
      #expect(refusal { _ = try reader.completedUpload(xml(text)) }?.meaning == .misconfigured, "\(text)")
    }
  }

  @Test("pages of parts: numbers, sizes, ETags, and where the next page begins")
  func listedParts() throws {
    let page = try reader.parts(
      xml(
        """
        <ListPartsResult><Bucket>takes</Bucket><NextPartNumberMarker>2</NextPartNumberMarker>
        <IsTruncated>true</IsTruncated>
        <Part><PartNumber>1</PartNumber><ETag>"aa"</ETag><Size>5242880</Size></Part>
        <Part><PartNumber>2</PartNumber><ETag>&#34;bb&#34;</ETag><Size>7</Size></Part></ListPartsResult>
        """))
    #expect(
      page.parts == [
        S3ListedPart(part: S3Part(number: 1, etag: "aa"), size: 5_242_880),
        S3ListedPart(part: S3Part(number: 2, etag: "bb"), size: 7),
      ])
    #expect(page.next == 2)
    // Swift and Ceph name a marker on the last page too.
    let last = try reader.parts(
      xml("<ListPartsResult><NextPartNumberMarker>0</NextPartNumberMarker><IsTruncated>false</IsTruncated></ListPartsResult>"))
    #expect(last.parts.isEmpty && last.next == nil)
    // moto names the document so.
    let other = try reader.parts(xml("<ListPartsResponse><IsTruncated>false</IsTruncated></ListPartsResponse>"))
    #expect(other == last)
  }

  @Test("pages that could be asked for for ever, or that lack a field, are refused", arguments: [
    "<IsTruncated>true</IsTruncated>",
    "<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"
      + "<Part><PartNumber>2</PartNumber><ETag>a</ETag><Size>1</Size></Part>",
    "<Part><PartNumber>0</PartNumber><ETag>a</ETag><Size>1</Size></Part>",
    "<Part><PartNumber>10001</PartNumber><ETag>a</ETag><Size>1</Size></Part>",
    "<Part><PartNumber>1</PartNumber><ETag></ETag><Size>1</Size></Part>",
    "<Part><PartNumber>1</PartNumber><ETag>a</ETag><Size>-1</Size></Part>",
  ])
  func brokenPages(content: String) {
    #expect(refusal { _ = try reader.parts(xml("<ListPartsResult>\(content)</ListPartsResult>")) }?.meaning == .misconfigured)
  }

  @Test("open uploads: keys come back percent-encoded, if the server says so")
  func listedUploads() throws {
    let encoded = try reader.uploads(
      xml(
        """
        <ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
        <NextKeyMarker>a%20b.wav</NextKeyMarker><NextUploadIdMarker>u1</NextUploadIdMarker>
        <Upload><Key>a+b%FF</Key><UploadId>u0</UploadId></Upload>
        <Upload><Key>a%20b.wav</Key><UploadId>u1</UploadId></Upload></ListMultipartUploadsResult>
        """))
    #expect(encoded.uploads.map(\.upload) == [S3Upload(key: try S3Key(Array("a b".utf8) + [0xff]), id: "u0"), S3Upload(key: key, id: "u1")])
    #expect(encoded.next == S3UploadMarker(key: key.bytes, id: "u1"))
    let plain = try reader.uploads(
      xml("<ListMultipartUploadsResult><Upload><Key>a+b%20</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>"))
    #expect(plain.uploads.map(\.upload) == [S3Upload(key: try S3Key("a+b%20"), id: "u")])
  }

  @Test("an upload that is not there was aborted")
  func aborted() throws {
    try reader.abortedUpload(S3Answer(status: 204))
    try reader.abortedUpload(xml("<Error><Code>NoSuchUpload</Code></Error>", status: 404))
    #expect(throws: S3Refusal.self) { try reader.abortedUpload(xml("<Error><Code>AccessDenied</Code></Error>", status: 403)) }
  }

  @Test("an object is the one that was sent if size and ETag are; an ETag of another kind says nothing")
  func objects() throws {
    let parts = [(1, "0"), (2, "f")].map { S3Part(number: $0, etag: String(repeating: $1, count: 32)) }
    // python: hashlib.md5(bytes(16) + b"\xff" * 16).hexdigest()
    let etag = try #require(S3ETag.ofObject(parts: parts))
    #expect(etag == "86c036c1a10384a5673251100457087a-2")
    let head = try reader.object(S3Answer(status: 200, headers: ["content-length": "32", "etag": "\"\(etag.uppercased())\""]))
    #expect(head.isObject(ofSize: 32, etag: etag) == true)
    #expect(head.isObject(ofSize: 33, etag: etag) == false)
    #expect(head.isObject(ofSize: 32, etag: String(repeating: "0", count: 32) + "-2") == false)
    let encrypted = try reader.object(S3Answer(status: 200, headers: ["content-length": "32", "etag": "\"kms-thing\""]))
    #expect(encrypted.isObject(ofSize: 32, etag: etag) == nil)
    #expect(S3ETag.ofObject(parts: [S3Part(number: 1, etag: "kms")]) == nil)
  }

  @Test("a range counts only if it is the one asked for")
  func ranges() throws {
    let answer = S3Answer(status: 206, headers: ["content-range": "bytes 5-7/100"], body: [1, 2, 3])
    #expect(try reader.bytes(answer, range: 5..<8) == [1, 2, 3])
    #expect(throws: S3Refusal.self) { try reader.bytes(answer, range: 4..<7) }
    #expect(throws: S3Refusal.self) { try reader.bytes(S3Answer(status: 200, body: [1, 2, 3]), range: 5..<8) }
    #expect(try reader.bytes(S3Answer(status: 200, body: [1]), range: nil) == [1])
  }
}

let takes = try! S3Location(bucket: "takes", prefix: "", endpoint: try! S3Endpoint("https://nas:9000"), region: "eu-west-1")

func xml(_ text: String, status: Int = 200, headers: [String: String] = [:]) -> S3Answer {
  S3Answer(status: status, headers: headers, body: Array(text.utf8))
}

func refusal(_ body: () throws -> Void) -> S3Refusal? {
  do {
    try body()
    return nil
  } catch {
    return error as? S3Refusal
  }
}

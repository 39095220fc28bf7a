import S3Protocol
import Testing

@Suite("requests")
struct RequestTests {
  private let key = try! S3Key("a b/take 1.wav")
  private var upload: S3Upload { S3Upload(key: key, id: "id+/=") }

  @Test("a body is described by the digests of its pieces")
  func content() {
    var digester = S3ContentDigester()
    for piece in ["hello ", "", "world"] { digester.update(Array(piece.utf8)) }
    let content = digester.finished()
    #expect(content.count == 11)
    #expect(Hex.text(content.sha256) == "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")
    #expect(Hex.text(content.md5) == "5eb63bbbe01eeed093cb22bb8f5acdc3")
  }

  @Test("a part carries its MD5, and its checksum if there is one")
  func part() {
    var digester = S3ContentDigester()
    digester.update(Array("123456789".utf8))
    let plain = S3Request.uploadPart(7, of: upload, digester.finished())
    #expect(plain.headers == [S3Header("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")])
    #expect(plain.query == [S3QueryItem("partNumber", "7"), S3QueryItem("uploadId", "id+/=")])
    let sum = S3Checksum(.crc64nvme, of: Array("123456789".utf8))
    let summed = S3Request.uploadPart(7, of: upload, digester.finished(checksum: sum))
    #expect(summed.headers.last == S3Header("x-amz-checksum-crc64nvme", "rosUhgp5mIg="))
  }

  @Test("create and complete declare and bring the checksum of the whole object")
  func fullObjectChecksum() {
    let create = S3Request.createUpload(key, checksum: .crc32c)
    #expect(create.headers.contains(S3Header("x-amz-checksum-algorithm", "CRC32C")))
    #expect(create.headers.contains(S3Header("x-amz-checksum-type", "FULL_OBJECT")))
    let complete = S3Request.completeUpload(upload, parts: [], size: 9, checksum: .crc32c(0xe306_9283))
    #expect(complete.headers.contains(S3Header("x-amz-checksum-crc32c", "4waSgw==")))
    #expect(complete.headers.contains(S3Header("x-amz-checksum-type", "FULL_OBJECT")))
    #expect(complete.headers.contains(S3Header("x-amz-mp-object-size", "9")))
  }

  @Test("complete lists the parts in ascending order, with their ETags escaped")
  func completion() {
    let parts = [S3Part(number: 10, etag: "b<&"), S3Part(number: 2, etag: "a")]
    guard case .document(let bytes) = S3Request.completeUpload(upload, parts: parts).body else {
      Issue.record("complete carries no document")
      return
    }
    #expect(
      String(decoding: bytes, as: UTF8.self)
        == "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        + "<Part><PartNumber>2</PartNumber><ETag>&quot;a&quot;</ETag></Part>"
        + "<Part><PartNumber>10</PartNumber><ETag>&quot;b&lt;&amp;&quot;</ETag></Part></CompleteMultipartUpload>")
  }

  @Test("a copied part names its source encoded, and a range with its last byte")
  func copy() {
    let request = S3Request.copyPart(1, of: upload, from: key, in: "takes", range: 5..<10, ifMatch: "e")
    #expect(
      request.headers == [
        S3Header("x-amz-copy-source", "takes/a%20b/take%201.wav"), S3Header("x-amz-copy-source-range", "bytes=5-9"),
        S3Header("x-amz-copy-source-if-match", "\"e\""),
      ])
  }

  @Test("user attributes become tokens and RFC 2047 words")
  func metadata() {
    let metadata = S3Metadata(attributes: [
      "Take No": Array("7  of 9".utf8), "ort": Array("Köln".utf8), "raw": [0xff, 0x00], "edge": Array(" x".utf8),
      "word": Array("=?x?=".utf8), "none": [],
    ])
    #expect(metadata.note == nil)
    #expect(
      metadata.headers == [
        S3Header("x-amz-meta-take-no", "7  of 9"), S3Header("x-amz-meta-edge", "=?UTF-8?B?IHg=?="),
        S3Header("x-amz-meta-none", ""), S3Header("x-amz-meta-ort", "=?UTF-8?B?S8O2bG4=?="),
        S3Header("x-amz-meta-raw", "=?x-unknown?B?/wA=?="), S3Header("x-amz-meta-word", "=?UTF-8?B?PT94Pz0=?="),
      ])
  }

  @Test("long values become several words of 75 characters, none of which divides a character")
  func longMetadata() {
    let text = String(repeating: "äö日", count: 40)
    let header = S3Metadata(attributes: ["t": Array(text.utf8)]).headers.first
    let words = (header?.value ?? "").split(separator: " ")
    #expect(words.count > 1)
    #expect(words.allSatisfy { $0.utf8.count <= 75 && $0.hasPrefix("=?UTF-8?B?") && $0.hasSuffix("?=") })
    let decoded = words.map { word in decodedBase64(word.dropFirst(10).dropLast(2)) }
    #expect(decoded.allSatisfy { String(validating: $0, as: UTF8.self) != nil })
    #expect(String(decoding: decoded.joined(), as: UTF8.self) == text)
  }

  @Test("what does not fit 2 KiB or has a name that is taken is left out and named")
  func metadataLimit() {
    let metadata = S3Metadata(attributes: [
      "A": Array("1".utf8), "a": Array("2".utf8), "big": [UInt8](repeating: 0x78, count: 2_048),
      "fits": [UInt8](repeating: 0x78, count: 2_042),
    ])
    #expect(metadata.headers.map(\.name) == ["x-amz-meta-a", "x-amz-meta-fits"])
    #expect(metadata.leftOut == ["a", "big"])
    #expect(metadata.note == "not sent along as metadata, S3 takes 2 KiB and each name once: a, big")
  }

  @Test("percent-encoding reads what it writes", arguments: [[UInt8](0...255), Array("a b+c/é%41".utf8)])
  func percent(bytes: [UInt8]) {
    #expect(PercentEncoding.decoded(PercentEncoding.component(bytes)) == bytes)
    #expect(PercentEncoding.decoded(PercentEncoding.path(bytes)) == bytes)
  }

  private func decodedBase64(_ text: Substring) -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    let digits = text.utf8.compactMap { alphabet.firstIndex(of: $0) }
    let bits = digits.flatMap { digit in (0..<6).reversed().map { digit >> $0 & 1 } }
    return stride(from: 0, to: bits.count / 8 * 8, by: 8).map { start in
      UInt8(bits[start..<start + 8].reduce(0) { $0 << 1 | $1 })
    }
  }
}

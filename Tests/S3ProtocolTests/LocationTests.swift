import S3Protocol
import Testing

@Suite("locations")
struct LocationTests {
  @Test(
    "s3://bucket/prefix is read without slashes at the prefix's ends",
    arguments: [
      ("s3://takes", "takes", ""), ("s3://takes/", "takes", ""), ("s3://takes/a/b", "takes", "a/b"),
      ("s3://takes//a b//", "takes", "a b"),
    ])
  func parsing(text: String, bucket: String, prefix: String) throws {
    let parsed = try S3Location.parse(text)
    #expect(parsed.bucket == bucket && parsed.prefix == prefix)
  }

  @Test("what is no bucket's name is refused", arguments: [
    "s3://", "s3:///prefix", "s3://ab", "s3://Takes", "s3://ta_kes", "s3://-takes", "s3://takes-", "s3://.takes",
    "s3://ta..kes", "s3://192.168.0.1", "s3://" + String(repeating: "a", count: 64), "s3://tåkes", "http://takes",
  ])
  func badBuckets(text: String) {
    #expect(throws: S3ConfigurationError.self) { try S3Location.parse(text) }
  }

  @Test("Amazon is asked by host name, but for names with dots; everybody else by path, unless told otherwise")
  func styles() throws {
    #expect(try url("takes", nil, "eu-west-1") == "https://takes.s3.eu-west-1.amazonaws.com/a/b%20c")
    #expect(try url("my.takes", nil, "eu-west-1") == "https://s3.eu-west-1.amazonaws.com/my.takes/a/b%20c")
    #expect(try url("takes", nil, "cn-north-1") == "https://takes.s3.cn-north-1.amazonaws.com.cn/a/b%20c")
    #expect(try url("takes", "http://nas:9000/", "x") == "http://nas:9000/takes/a/b%20c")
    #expect(try url("takes", "http://nas:9000", "x", .virtualHost) == "http://takes.nas:9000/a/b%20c")
    #expect(try url("takes", nil, "us-east-1", .path) == "https://s3.us-east-1.amazonaws.com/takes/a/b%20c")
    #expect(throws: S3ConfigurationError.self) { try url("takes", "http://127.0.0.1:9000", "x", .virtualHost) }
    #expect(throws: S3ConfigurationError.self) { try url("takes", "http://[::1]:9000", "x", .virtualHost) }
  }

  @Test("the signed host has a port unless it is the scheme's own", arguments: [
    ("http://nas", "nas"), ("http://nas:80", "nas"), ("https://nas:443/", "nas"), ("https://NAS:80", "nas:80"),
    ("http://[fe80::1]:9000", "[fe80::1]:9000"),
  ])
  func hosts(endpoint: String, host: String) throws {
    let location = try S3Location(bucket: "takes", prefix: "", endpoint: try S3Endpoint(endpoint), region: "x")
    #expect(location.host == host)
    var signer = try signer
    let signed = signer.sign(.headBucket(), to: location, at: SigningTime(secondsSince1970: 0))
    #expect(signed.headers.contains(S3Header("host", host)))
  }

  @Test("an endpoint is scheme, host and port, and nothing else", arguments: [
    "nas:9000", "ftp://nas", "http://", "http://nas/path", "http://nas?x", "http://nas#x", "http://me:secret@nas",
    "http://nas:0", "http://nas:65536", "http://nas:", "http://nas:9x", "http://n s", "http://[::1", "http://[]:1",
  ])
  func badEndpoints(text: String) {
    #expect(throws: S3ConfigurationError.self) { try S3Endpoint(text) }
  }

  @Test("a key is the prefix and the bytes of the path; too long or empty ones are refused")
  func keys() throws {
    let location = try S3Location(bucket: "takes", prefix: "a/ü", endpoint: nil, region: "us-east-1")
    #expect(try location.key(ofPath: Array("b/\u{e9}".utf8) + [0xff]).bytes == Array("a/ü/b/é".utf8) + [0xff])
    let plain = try S3Location(bucket: "takes", prefix: "", endpoint: nil, region: "us-east-1")
    #expect(try plain.key(ofPath: [0x61]).bytes == [0x61])
    #expect(try plain.key(ofPath: [UInt8](repeating: 0x61, count: 1_024)).bytes.count == 1_024)
    #expect(throws: S3ConfigurationError.keyTooLong(bytes: 1_025)) {
      try plain.key(ofPath: [UInt8](repeating: 0x61, count: 1_025))
    }
    #expect(throws: S3ConfigurationError.emptyKey) { try plain.key(ofPath: []) }
  }

  @Test("a bucket found in another region is addressed there; an endpoint of one's own stays")
  func moving() throws {
    let amazon = try S3Location(bucket: "takes", prefix: "p", endpoint: nil, region: "us-east-1")
    let moved = try amazon.moved(to: "eu-west-1")
    #expect(moved == (try S3Location(bucket: "takes", prefix: "p", endpoint: nil, region: "eu-west-1")))
    let own = try S3Location(bucket: "takes", prefix: "p", endpoint: try S3Endpoint("http://nas:9000"), region: "a")
    #expect(try own.moved(to: "b").origin == "http://nas:9000")
    #expect(try own.moved(to: "b").region == "b")
    #expect(throws: S3ConfigurationError.badRegion("evil.example/")) { try amazon.moved(to: "evil.example/") }
  }

  private var signer: S3Signer {
    get throws {
      S3Signer(credentials: try S3Credentials(accessKeyID: "A", secretAccessKey: "s", from: "the test"), region: "x")
    }
  }

  private func url(
    _ bucket: String, _ endpoint: String?, _ region: String, _ style: S3Location.Style? = nil
  ) throws -> String {
    let location = try S3Location(
      bucket: bucket, prefix: "a", endpoint: try endpoint.map { try S3Endpoint($0) }, region: region, style: style)
    var signer = try signer
    let key = try location.key(ofPath: Array("b c".utf8))
    return signer.sign(.headObject(key), to: location, at: SigningTime(secondsSince1970: 0)).url
  }
}

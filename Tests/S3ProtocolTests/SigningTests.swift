import Foundation
import S3Protocol
import Testing

/// Tests/Peers/s3_signing_oracle.py writes what is compared here; it also tells how to compare a large set.
@Suite("signing")
struct SigningTests {
  @Test("URL and signature are those of botocore, for keys of any bytes, queries and headers")
  func signatures() throws {
    for vector in try SigningVector.all() {
      var signer = S3Signer(credentials: try vector.credentials, region: vector.region)
      let signed = signer.sign(try vector.request, to: try vector.location, at: vector.moment)
      #expect(signed.headers.last == S3Header("authorization", vector.authorization), "\(vector)")
      #expect(signed.method.rawValue == vector.method)
      // A whole client may leave the query unsorted on the wire; what it signs is sorted.
      if vector.kind == .signer { #expect(signed.url == vector.url) }
      #expect(signed.url.prefix { $0 != "?" } == vector.url.prefix { $0 != "?" })
    }
  }

  @Test("each operation has the method, path, query and headers that botocore gives it")
  func operations() throws {
    let vectors = try SigningVector.all().filter { $0.kind == .client }
    #expect(Set(vectors.compactMap(\.operation)).count == S3Operation.allCases.count)
    for vector in vectors {
      let ours = try vector.operationRequest
      var signer = S3Signer(credentials: try vector.credentials, region: vector.region)
      let signed = signer.sign(ours, to: try vector.location, at: vector.moment)
      let theirs = signer.sign(try vector.request, to: try vector.location, at: vector.moment)
      #expect(signed.method == theirs.method)
      #expect(signed.url == theirs.url)
      for header in try vector.request.headers { #expect(ours.headers.contains(header), "\(vector)") }
    }
  }

  /// From Amazon's documentation, "Signature Calculations for the Authorization Header", GET Object.
  @Test("the example of Amazon's documentation")
  func documented() throws {
    let credentials = try S3Credentials(
      accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", from: "the test")
    let location = try S3Location(
      bucket: "examplebucket", prefix: "", endpoint: try S3Endpoint("https://s3.amazonaws.com"), region: "us-east-1")
    var signer = S3Signer(credentials: credentials, region: "us-east-1")
    let signed = signer.sign(
      .getObject(try S3Key("test.txt"), range: 0..<10), to: location,
      at: SigningTime(secondsSince1970: 1_369_353_600))
    #expect(signed.url == "https://examplebucket.s3.amazonaws.com/test.txt")
    #expect(
      signed.headers.last?.value
        == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
  }

  @Test("the key of a day is not used on the next one")
  func days() throws {
    let location = try S3Location(bucket: "bucket", prefix: "", endpoint: nil, region: "us-east-1")
    let credentials = try S3Credentials(accessKeyID: "A", secretAccessKey: "s", from: "the test")
    var reused = S3Signer(credentials: credentials, region: "us-east-1")
    for seconds in [Int64(86_399), 86_400, 86_399] {
      let time = SigningTime(secondsSince1970: seconds)
      var fresh = S3Signer(credentials: credentials, region: "us-east-1")
      #expect(reused.sign(.headBucket(), to: location, at: time) == fresh.sign(.headBucket(), to: location, at: time))
    }
  }

  @Test(
    "times are written in UTC",
    arguments: [
      (Int64(0), "19700101T000000Z"), (951_782_399, "20000228T235959Z"), (951_782_400, "20000229T000000Z"),
      (4_107_542_399, "21000228T235959Z"), (4_107_542_400, "21000301T000000Z"), (1_795_572_785, "20261125T021305Z"),
      (-5, "19700101T000000Z"), (Int64.max, "99991231T235959Z"),
    ])
  func times(seconds: Int64, text: String) {
    #expect(SigningTime(secondsSince1970: seconds).stamp == text)
  }

  @Test("a secret is not in the description of its credentials")
  func secrecy() throws {
    let credentials = try S3Credentials(
      accessKeyID: "AKID", secretAccessKey: "hush", sessionToken: "quiet", from: "the test")
    #expect("\(credentials)" == "key AKID with a session token")
    #expect(String(reflecting: credentials) == "key AKID with a session token")
    var dumped = ""
    dump(credentials, to: &dumped)
    #expect(!dumped.contains("hush") && !dumped.contains("quiet"))
  }
}

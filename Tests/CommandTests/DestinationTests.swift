import SyncStatus
import Testing
import reelfs

@Suite("destinations")
struct DestinationTests {
  @Test(
    "every kind is recognized",
    arguments: [
      ("http://nas:8090", "http://nas:8090"), ("https://nas", "https://nas"),
      ("http://[::1]:8090/", "http://[::1]:8090"),
      ("https://nas:443/a/b/", "https://nas/a/b"),
      ("tus+https://tus.example.org/files/", "tus+https://tus.example.org/files"),
      ("s3://my-bucket/a/b/", "s3://my-bucket/a/b"), ("s3://my-bucket", "s3://my-bucket"),
      ("file:///srv/recordings/", "file:///srv/recordings")
    ])
  func kinds(text: String, shown: String) throws {
    #expect(try Destination(text, s3Endpoint: nil).description == shown)
  }

  @Test(
    "what is odd is refused in a sentence, not guessed",
    arguments: [
      "", "nas:8090", "ftp://x", "http://", "http://:80", "http://nas:0", "http://nas:65536", "http://nas:x",
      "http://me:pw@nas",
      "http://nas/?a", "http://nas/#a", "http://::1:80", "http://[::1", "http://[::1]x", "http://[nas]:1",
      "http://na s",
      "http://nas\n", "https://ü", "s3://", "s3://UPPER", "s3://a", "s3://-abc", "s3://abc.", "s3://a..b", "s3://10.0.0.1", "file://relative", "file:///", "tus+ftp://x", "tus+"
    ])
  func odd(text: String) {
    #expect(throws: TextError.self) { try Destination(text, s3Endpoint: nil) }
  }

  @Test("a password in an address is not repeated in the complaint")
  func secrets() {
    let error = #expect(throws: TextError.self) { try ReceiverAddress("http://me:hunter2@nas") }
    #expect(error?.message.contains("hunter2") == false)
  }

  @Test("an address to listen on has a port, which may be 0")
  func listening() throws {
    #expect(try ReceiverAddress.listening("127.0.0.1:0") == ("127.0.0.1", 0))
    #expect(try ReceiverAddress.listening("[::]:8090") == ("::", 8_090))
    for bad in ["8090", "127.0.0.1", "::1:80", "127.0.0.1:70000", ""] {
      #expect(throws: TextError.self) { try ReceiverAddress.listening(bad) }
    }
  }
}

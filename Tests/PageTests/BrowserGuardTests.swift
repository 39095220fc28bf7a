import HTTPTypes
import PageServing
import Testing

@Suite("Which web sites reach a server on this machine")
struct BrowserGuardTests {
  private func head(_ host: String?, origin: String? = nil) -> HTTPRequest {
    var head = HTTPRequest(method: .get, scheme: "http", authority: host, path: "/")
    head.headerFields[.origin] = origin
    return head
  }

  @Test(
    "the names of this machine are let in, with any port",
    arguments: ["localhost", "localhost:8091", "LOCALHOST:1", "127.0.0.1:8091", "127.0.0.1", "[::1]:8091", "[::1]"])
  func own(host: String) {
    #expect(BrowserGuard.refusal(of: head(host), listeningOn: "127.0.0.1") == nil)
  }

  @Test(
    "a name that was made to point here is refused: DNS rebinding",
    arguments: [
      "evil.example", "evil.example:8091", "localhost.evil.example:8091", "127.0.0.1.evil.example", "127.0.0.1:80:90",
      "127.0.0.1:8091x", "[::1].evil.example", "0.0.0.0:8091", "",
    ])
  func rebound(host: String) {
    #expect(BrowserGuard.refusal(of: head(host), listeningOn: "127.0.0.1") == .foreignHost)
  }

  @Test("the page's own origin is let in, every other one is refused")
  func origins() {
    func refusal(_ origin: String) -> BrowserGuard.Refusal? {
      BrowserGuard.refusal(of: head("127.0.0.1:8091", origin: origin), listeningOn: "127.0.0.1")
    }
    #expect(refusal("http://127.0.0.1:8091") == nil)
    for origin in ["http://evil.example", "null", "http://127.0.0.1:9000", "http://localhost:8091", "file://", ""] {
      #expect(refusal(origin) == .foreignOrigin, "\(origin)")
    }
  }
}

import Testing
import reelfs

@Suite("what a debug bundle leaves out")
struct RedactionTests {
  @Test("secrets go wherever they stand, names only as whole words")
  func words() {
    let redaction = Redaction(secrets: ["hunter22", "ab"], names: [Array("day/take.wav".utf8), Array("a".utf8)])
    #expect(redaction.text("xhunter22x a abc") == "x(removed)x \(redaction.alias(of: Array("a".utf8)) ?? "") abc")
    let whole = redaction.alias(of: Array("day/take.wav".utf8)) ?? ""
    #expect(whole.hasSuffix(".wav") && redaction.text("cannot send day/take.wav: full") == "cannot send \(whole): full")
    #expect(!redaction.text("in day: take.wav").contains("take"))
    #expect(!redaction.text("in day: take.wav").contains("day"))
  }

  @Test(
    "what looks like a credential goes, whoever wrote it",
    arguments: [
      "Authorization: Bearer abcdef12345", "authorization: basic dXNlcjpwYXNz", "https://user:pass1234@host/", "?X-Amz-Signature=abcdef12&x",
      "secret=abcdef12345",
    ])
  func patterns(text: String) {
    let result = Redaction(secrets: [], names: nil).text(text)
    #expect(result.contains("(removed)"))
    for secret in ["abcdef12", "dXNlcjpwYXNz", "pass1234"] { #expect(!result.contains(secret), "\(result)") }
  }

  @Test("ordinary words stay")
  func harmless() {
    let text = "✓ SYNCED take.wav, Bearer of news: http://127.0.0.1:8090/files/ 45%"
    #expect(Redaction(secrets: [], names: nil).text(text).hasSuffix("http://127.0.0.1:8090/files/ 45%"))
  }

  @Test("more names than can be looked for are said to be too many")
  func many() {
    let names = (0..<3_000).map { Array("take\($0).wav".utf8) }
    #expect(!Redaction(secrets: [], names: names).knowsAllNames)
    #expect(Redaction(secrets: [], names: nil).knowsAllNames)
  }
}

import S3Protocol
import Testing

/// Through the reader of answers: the XML reader itself is nobody else's business.
@Suite("hostile documents")
struct HostileXMLTests {
  private let reader = S3AnswerReader(takes)

  @Test("nothing can be declared, nested without end, or left open", arguments: [
    "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><CopyPartResult><ETag>&b;</ETag></CopyPartResult>",
    "<?xml version=\"1.0\"?><!DOCTYPE r SYSTEM \"file:///etc/passwd\"><CopyPartResult><ETag>a</ETag></CopyPartResult>",
    "<CopyPartResult><ETag>&unknown;</ETag></CopyPartResult>", "<CopyPartResult><ETag>&#xD800;</ETag></CopyPartResult>",
    "<CopyPartResult><ETag>&#x110000;</ETag></CopyPartResult>", "<CopyPartResult><ETag>& </ETag></CopyPartResult>",
    "<CopyPartResult><ETag>a</ETag></CopyPartResult><x/>", "<CopyPartResult><ETag>a</etag></CopyPartResult>",
    "<CopyPartResult><ETag>a", "<CopyPartResult><ETag", "<CopyPartResult", "<", "<>", "</CopyPartResult>",
    "<CopyPartResult a><ETag>a</ETag></CopyPartResult>", "<CopyPartResult a=b><ETag>a</ETag></CopyPartResult>",
    "<CopyPartResult a=\"<\"><ETag>a</ETag></CopyPartResult>", "<CopyPartResult a=\"><ETag>a</ETag></CopyPartResult>",
    "<CopyPartResult><!-- <ETag>a</ETag></CopyPartResult>", "<CopyPartResult><![CDATA[<ETag>a</ETag></CopyPartResult>",
    String(repeating: "<a>", count: 100_000), "<?xml " + String(repeating: " ", count: 3_000_000) + "?><a/>",
    "<CopyPartResult>" + String(repeating: "<a/>", count: 70_000) + "<ETag>a</ETag></CopyPartResult>",
  ])
  func refused(text: String) {
    #expect(throws: S3Refusal.self) { try reader.copiedPart(xml(text), number: 1) }
  }

  @Test("whatever is cut off or damaged is refused or read, and never a crash")
  func damaged() throws {
    let whole = Array(
      ("<?xml version='1.0'?>\n<!--c--><a:CopyPartResult xmlns:a=\"u\" b='1'>"
        + "<a:ETag>&quot;x&#65;<![CDATA[]]]>&quot;</a:ETag><c/></a:CopyPartResult>\n").utf8)
    #expect(try reader.copiedPart(S3Answer(status: 200, body: whole), number: 1).etag == "xA]")
    for end in 0..<whole.count - 1 {
      let cut = S3Answer(status: 200, body: Array(whole[..<end]))
      #expect(throws: S3Refusal.self) { try reader.copiedPart(cut, number: 1) }
    }
    var generator = Generator(seed: 11)
    for _ in 0..<20_000 {
      var bytes = whole
      for _ in 0...Int.random(in: 0...3, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      _ = try? reader.copiedPart(S3Answer(status: 200, body: bytes), number: 1)
    }
  }

  @Test("a page of 1,000 parts is read")
  func large() throws {
    let facts =
      "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;00112233445566778899aabbccddeeff&quot;</ETag>"
      + "<Size>16777216</Size>"
    var text = "<ListPartsResult>"
    for number in 1...1_000 { text += "<Part><PartNumber>\(number)</PartNumber>\(facts)</Part>" }
    #expect(try reader.parts(xml(text + "</ListPartsResult>")).parts.count == 1_000)
  }
}

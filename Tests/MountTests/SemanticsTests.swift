import Foundation
import Testing

/// docs/SEMANTICS.md and the tests say the same: no promise without a test, no test for a promise that is gone.
@Suite("The page of promises")
struct SemanticsTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  private static let shown = SemanticsRegistry.shown + SemanticsRegistry.shownOfDisks + SemanticsRegistry.shownOfSteering

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  @Test("every sentence of docs/SEMANTICS.md is quoted with the tests that show it, or with why none does")
  func everySentence() throws {
    let promises = SemanticsPage.sentences(of: try Self.text("docs/SEMANTICS.md"))
    #expect(promises.count > 80, "the page could not be read")
    let quoted = Self.shown.map(\.promise) + SemanticsRegistry.notShown.map(\.promise)

    for promise in promises where !quoted.contains(promise) { Issue.record("no test is named for: \(promise)") }
    for quote in quoted where !promises.contains(quote) { Issue.record("docs/SEMANTICS.md does not say any more: \(quote)") }
    #expect(Set(quoted).count == quoted.count, "a promise is quoted twice")
  }

  @Test("every test that a promise is left to exists under exactly that name")
  func everyTest() throws {
    let names = try Self.testNames()
    #expect(names.count > 300, "the sources of the tests could not be read")

    for (promise, tests) in Self.shown {
      #expect(!tests.isEmpty, "\(promise)")
      for test in tests where !names.contains(test) { Issue.record("no test is called \(test); it should show: \(promise)") }
    }
  }

  @Test("what no test shows is the exception, and says why")
  func exceptions() {
    #expect(SemanticsRegistry.notShown.count * 10 <= Self.shown.count)
    #expect(SemanticsRegistry.notShown.allSatisfy { !$0.because.isEmpty })
  }

  /// The display names in all test sources, and the sentences of the conformance rules.
  private static func testNames() throws -> Set<String> {
    let tests = root.appendingPathComponent("Tests")
    let files = FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil)
    var names: Set<String> = []
    while let file = files?.nextObject() as? URL {
      if file.pathExtension == "py" {
        for match in try String(contentsOf: file, encoding: .utf8).matches(of: /@(?:rule|program)\("([^"\n]+)"/) {
          names.insert(String(match.1))
        }
      }
      guard file.pathExtension == "swift" else { continue }
      for match in try String(contentsOf: file, encoding: .utf8).matches(of: /@Test\(\s*"([^"\n]+)"/) {
        names.insert(String(match.1))
      }
    }
    return names
  }
}

/// Reads the page: every table row (its cells after the first, joined by ` | `), list item and paragraph below the first
/// second-level heading is cut into sentences, which end with a period before a capital letter or a code span.
enum SemanticsPage {
  static func sentences(of page: String) -> [String] {
    var blocks: [String] = []
    var isContinued = false
    let lines = page.split(separator: "\n", omittingEmptySubsequences: false).drop { !$0.hasPrefix("## ") }
    for (place, line) in zip(lines.indices, lines) {
      let text = line.trimmingCharacters(in: .whitespaces)
      if text.isEmpty || text.hasPrefix("#") {
        isContinued = false
      } else if text.hasPrefix("|") {
        isContinued = false
        let next = lines.index(after: place)
        // The head of a table is followed by its rule.
        let isHead = next < lines.endIndex && isRule(lines[next])
        if !isHead, !isRule(line) { blocks.append(cells(text).dropFirst().filter { !$0.isEmpty }.joined(separator: " | ")) }
      } else if let item = text.firstMatch(of: /^(?:\d+\.|-) (.*)$/), line.first != " " {
        blocks.append(String(item.1))
        isContinued = true
      } else if isContinued, !blocks.isEmpty {
        blocks[blocks.count - 1] += " " + text
      } else {
        blocks.append(text)
        isContinued = true
      }
    }
    var sentences: [String] = []
    for sentence in blocks.flatMap(cut) where !sentence.isEmpty && !sentences.contains(sentence) { sentences.append(sentence) }
    return sentences
  }

  private static func isRule(_ line: Substring) -> Bool { line.hasPrefix("|") && line.allSatisfy { "|-: ".contains($0) } }

  /// Of a row; `\\|` is a bar within a cell.
  private static func cells(_ row: String) -> [String] {
    let bar = "\u{1}"
    return row.replacing("\\|", with: bar).dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
      .map { $0.replacing(bar, with: "\\|").trimmingCharacters(in: .whitespaces) }
  }

  private static func cut(_ block: String) -> [String] {
    var sentences: [String] = []
    var rest = Substring(block)
    while let end = rest.firstMatch(of: /\.\s+(?=[A-Z`])/) {
      sentences.append(rest[..<end.range.lowerBound] + ".")
      rest = rest[end.range.upperBound...]
    }
    return sentences + [String(rest)]
  }
}

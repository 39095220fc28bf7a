import Foundation
import Testing

/// The pages as files: what the content security policy forbids must not be in them, or they would not work.
@Suite("The files of the pages")
struct PageFileTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Sources/PageServing/Pages").standardized

  private func text(_ name: String) throws -> String {
    try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
  }

  @Test("nothing is inline, and nothing comes from elsewhere", arguments: ["mount.html", "receiver.html"])
  func noInline(name: String) throws {
    let html = try text(name)
    #expect(!html.contains("style=") && !html.contains("<style"))
    #expect(html.firstMatch(of: /\son[a-z]+=/) == nil)
    #expect(html.matches(of: /<script/).count == html.matches(of: /<script type="module" src="\/[a-z]+\.js"><\/script>/).count)
    #expect(!html.contains("//"))
  }

  @Test("no script turns text into markup", arguments: ["common.js", "mount.js", "receiver.js", "upload.js", "chart.js"])
  func noMarkup(name: String) throws {
    let script = try text(name)
    for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "cssText"] {
      #expect(!script.contains(word), "\(word)")
    }
  }

  @Test("every part that a script asks for by id is in its page", arguments: [("mount", ["mount.js", "common.js"]), ("receiver", ["receiver.js", "upload.js", "common.js"])])
  func ids(page: String, scripts: [String]) throws {
    let html = try text("\(page).html")
    for script in scripts {
      for match in try text(script).matches(of: /(?:byId|instantiate)\("([a-z-]+)"\)/) {
        #expect(html.contains("id=\"\(match.1)\""), "\(match.1)")
      }
    }
  }
}

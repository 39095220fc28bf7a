import Foundation
import TestSupport
import Testing
import reelfs

/// What stands in docs/ is true of the sources and of the program.
@Suite("documents")
struct DocumentTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func text(_ path: String) throws -> String { try String(contentsOf: root.appending(path: path), encoding: .utf8) }

  private static let program = built("reelfs")

  private static func output(_ words: [String], environment: [String: String] = [:]) throws -> (code: Int32, text: String) {
    let (code, output, errors) = try run(words, environment: environment, in: root.path)
    return (code, output + errors)
  }

  /// Each source line with its string interpolations taken out: what is between them is what people see.
  private static func sourceLines() throws -> [String] {
    let files = FileManager.default.enumerator(at: root.appending(path: "Sources"), includingPropertiesForKeys: nil)
    // Out here: a literal is parsed each time it is come to.
    let (seams, quote) = (/" \+ "|\\ |" \+ \("|"\n/, #/\\"/#)
    return try (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }.flatMap { file in
      // A sentence may be broken over lines of the source; so lines are looked at in threes.
      let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      return lines.indices.map { index in
        lines[index..<min(index + 3, lines.count)].joined(separator: " ")
          .replacing(seams, with: "").replacing(quote, with: "\"")
      }
    }
  }

  @Test("every message of TROUBLESHOOTING.md is in the sources")
  func messages() throws {
    let lines = try Self.sourceLines()
    let headings = try Self.text("docs/TROUBLESHOOTING.md").split(separator: "\n").filter { $0.hasPrefix("### `") }
    #expect(headings.count > 40)
    // Words of the kernel, not of ours.
    let foreign = ["No space left on device"]
    for heading in headings {
      let message = heading.dropFirst(5).prefix { $0 != "`" }
      if foreign.contains(String(message)) { continue }
      let fragments = message.split(separator: "…").map(String.init).filter { $0.contains { $0.isLetter } }
      #expect(!fragments.isEmpty)
      #expect(lines.contains { line in fragments.allSatisfy { line.contains($0) } }, "no source says: \(message)")
    }
  }

  @Test("CONFIGURATION.md is what the program says of itself now: if not, make docs")
  func configuration() throws {
    let (code, text) = try Self.output(["mount-scripts/pages.py", "configuration", Self.program])
    #expect(code == 0, "\(text)")
    #expect(try Self.text("docs/CONFIGURATION.md") == text)
  }

  @Test("every setting has its row, with its variable and its flag")
  func settings() throws {
    let document = try Self.text("docs/CONFIGURATION.md")
    for setting in Setting.allCases {
      #expect(document.contains("| `\(setting.rawValue)` |") && document.contains("`\(setting.variable)`"), "\(setting.rawValue)")
    }
  }

  @Test("every link between documents leads somewhere")
  func links() throws {
    let docs = try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "docs").path).filter { $0.hasSuffix(".md") }
    for path in ["README.md"] + docs.map({ "docs/" + $0 }) {
      let folder = Self.root.appending(path: path).deletingLastPathComponent()
      for match in try Self.text(path).matches(of: /\]\(([^)#:]+)(#[^)]*)?\)/) {
        let target = folder.appending(path: String(match.output.1)).path
        #expect(FileManager.default.fileExists(atPath: target), "\(path): \(match.output.1)")
      }
    }
  }

  @Test("make install puts everything into place, and make uninstall takes it away")
  func install() throws {
    let folder = try FakeMount.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let environment = ["DESTDIR": folder, "PREFIX": "/usr", "REELFS": Self.program]
    let (code, text) = try Self.output(["mount-scripts/install.sh"], environment: environment)
    #expect(code == 0, "\(text)")
    for path in [
      "usr/bin/reelfs", "usr/bin/reelfs-umount-safely", "sbin/mount.reelfs", "sbin/mount.fuse.reelfs", "usr/share/man/man1/reelfs.1",
      "usr/share/man/man1/reelfs-mount.1", "usr/share/man/man8/mount.reelfs.8", "usr/share/bash-completion/completions/reelfs",
      "usr/share/zsh/vendor-completions/_reelfs", "usr/share/fish/vendor_completions.d/reelfs.fish", "usr/lib/systemd/system/reelfs@.service",
      "usr/lib/systemd/user/reelfs@.service", "usr/lib/systemd/system/reelfs-receive.service", "usr/lib/sysusers.d/reelfs.conf",
    ] { #expect(FileManager.default.fileExists(atPath: folder + "/" + path), "\(path)") }
    #expect(try Self.output(["bash", "-n", folder + "/usr/share/bash-completion/completions/reelfs"]).code == 0)
    let lint = try Self.output(["sh", "-c", "command -v mandoc >/dev/null || exit 0; mandoc -Tlint -Wwarning \(folder)/usr/share/man/man*/*"])
    #expect(lint.code == 0, "\(lint.text)")
    let removed = try Self.output(["mount-scripts/install.sh", "--remove"], environment: environment)
    #expect(removed.code == 0, "\(removed.text)")
    #expect(try Self.output(["find", folder, "!", "-type", "d"]).text == "")
  }

  @Test(
    "fstab's options become flags, what is meant for others is left out",
    arguments: [
      ("defaults,_netdev,nofail,x-systemd.automount,user=me,limit=2M,max_lag=5,hide-xattrs,allow_other", "--limit=2M --max-lag=5 --hide-xattrs -o allow_other"),
      ("", ""), ("rw,noauto,token-file=/etc/a b", "--token-file=/etc/a b"), ("comment=x,spool-quota=20G", "--spool-quota=20G"),
    ])
  func fstab(options: String, flags: String) throws {
    let (code, text) = try Self.output(
      ["sh", "-c", "exec mount-scripts/mount.reelfs http://nas:8090 /mnt/rec -f ${0:+-o \"$0\"}", options], environment: ["REELFS": "reelfs"])
    #expect(code == 0)
    #expect(text.contains("reelfs mount --daemon" + (flags.isEmpty ? "" : " ") + flags + " -- http://nas:8090 /mnt/rec\n"), "\(text)")
  }

  @Test("a read-only mount is refused with a reason")
  func readOnly() throws {
    let (code, text) = try Self.output(["mount-scripts/mount.reelfs", "none", "/mnt/rec", "-o", "ro"])
    #expect(code == 1 && text.contains("cannot be mounted read-only"))
  }
}

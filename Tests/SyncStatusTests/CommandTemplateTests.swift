import SyncStatus
import Testing

@Suite("commands in settings")
struct CommandTemplateTests {
  @Test(
    "words are parted at blanks, and quotes and backslashes keep them together",
    arguments: [
      ("notify done", ["notify", "done"]), ("  a \t b\n c ", ["a", "b", "c"]), (#"'/opt/my tool' x"#, ["/opt/my tool", "x"]),
      (#"a "b c" d"#, ["a", "b c", "d"]), (#"a\ b c\\"#, ["a b", #"c\"#]), (#"a"b"'c'd"#, ["abcd"]), (#"a '' """#, ["a", "", ""]),
      (#"a "x \"y\" \\ \n""#, ["a", #"x "y" \ \n"#]), (#"a '\'"#, ["a", #"\"#]), ("a $HOME `id` ; rm *", ["a", "$HOME", "`id`", ";", "rm", "*"]),
    ])
  func words(text: String, words: [String]) throws {
    #expect(try CommandTemplate(text).words == words)
  }

  @Test("a command that cannot be parted is refused", arguments: ["", "   ", "''", "a 'b", "a \"b", #"a \"#, "a\0b"])
  func nonsense(text: String) {
    #expect(throws: TextError.self) { try CommandTemplate(text) }
  }

  @Test("a value is one word whatever it holds, is not looked at again, and unknown names stay")
  func filled() throws {
    let template = try CommandTemplate("tool {path} --x={path}:{state} {unknown} {path {}")
    let filled = template.filled(["path": "a 'b' {state}; rm", "state": "synced"])
    #expect(
      filled == [
        "tool", "a 'b' {state}; rm", "--x=a 'b' {state}; rm:synced", "{unknown}", "{path", "{}",
      ])
  }
}

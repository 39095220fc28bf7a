import TestSupport
import Testing

/// The built program itself, for what only the whole can show: exit codes of wrong usage.
@Suite("the program")
struct ProgramTests {
  private func run(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
    try TestSupport.run([built("reelfs")] + arguments)
  }

  @Test(
    "wrong usage ends with 1 and says why on standard error",
    arguments: [
      ["fly"], ["status", "--bogus"], ["status", "--json", "--watch"], ["limit", "fast"], ["priority", "top", "x"],
      ["flush", "--timeout", "5"], ["flush", "--wait", "--timeout", "soon"], ["unmount"],
      ["receive", "--listen", "8090"],
      ["receive", "--tls-cert", "x"], ["receive", "--token-file", "/does/not/exist"],
      ["status", "/"], ["unmount", "/does/not/exist"]
    ])
  func usage(arguments: [String]) throws {
    let (code, out, err) = try run(arguments)
    #expect(code == 1)
    #expect(out == "")
    #expect(!err.isEmpty)
  }

  @Test(
    "help and version are answers, not errors; every command has examples",
    arguments: [
      "status", "flush", "pause", "resume", "retry", "priority", "limit", "restart", "unmount", "receive", "doctor", "debug-bundle"
    ])
  func help(command: String) throws {
    let (code, out, err) = try run([command, "--help"])
    #expect(code == 0 && err == "")
    #expect(out.contains("Examples:") && out.contains("  reelfs \(command)"))
    #expect(try run(["--version"]).code == 0)
  }
}

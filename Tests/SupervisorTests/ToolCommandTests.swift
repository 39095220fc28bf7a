import Glibc
import Supervisor
import Testing

@Suite("Tools and hooks")
struct ToolCommandTests {
  @Test("a tool's exit code, its end by a signal, and its absence are told apart")
  func endings() {
    #expect(ToolCommand(["true"]).run(secondsMax: 20) == .exited(0))
    #expect(ToolCommand(["sh", "-c", "exit 7"]).run(secondsMax: 20) == .exited(7))
    #expect(ToolCommand(["sh", "-c", "kill -TERM $$"]).run(secondsMax: 20) == .killed(signal: SIGTERM))
    guard case .notStarted = ToolCommand(["/does/not/exist"]).run(secondsMax: 20) else {
      Issue.record("it was started")
      return
    }
  }

  @Test("what a tool prints is taken, with its variables and arguments as they were given")
  func output() {
    let tool = ToolCommand(["sh", "-c", "printf '%s|%s' \"$1\" \"$REELFS_PATH\"", "sh", "a b;c"], environment: ["REELFS_PATH=x y"])
    #expect(tool.output(secondsMax: 20) == "a b;c|x y")
    #expect(ToolCommand(["false"]).output(secondsMax: 20) == nil)
    #expect(ToolCommand(["seq", "200000"]).output(secondsMax: 20)?.hasSuffix("\n199999\n200000\n") == true)
  }

  @Test("a tool that takes too long is killed with what it started")
  func timeLimit() throws {
    let begun = ContinuousClock.now
    let tool = ToolCommand(["sh", "-c", "sleep 1000 & echo $! >&2; wait"])
    #expect(tool.run(secondsMax: 0.3) == .timedOut)
    #expect(begun.duration(to: .now) < .seconds(15))
  }
}

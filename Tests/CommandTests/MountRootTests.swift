import SyncStatus
import Testing
import reelfs

@Suite("commands to a mount")
struct MountRootTests {
  @Test(
    "each request is one line in .status/control",
    arguments: [
      (ControlRequest.pause(.all), "pause\n"), (.resume(.path(Array("a b".utf8))), "resume ./a b\n"),
      (.processUploads(.all, force: true), "process-uploads force\n"),
      (.limit(bytesPerSecond: 2 << 20), "limit 2097152\n"),
      (.limit(bytesPerSecond: nil), "limit off\n"), (.restart, "restart\n"),
      (.prioritize(.high, .path(Array("x".utf8))), "priority high ./x\n")
    ])
  func control(request: ControlRequest, line: String) throws {
    let mount = try FakeMount()
    try mount.root.send(request)
    #expect(try mount.control == line)
  }

  @Test("a name with a newline is refused here instead of being taken for two commands")
  func newline() throws {
    let mount = try FakeMount()
    #expect(throws: CommandFailure.self) { try mount.root.send(.pause(.path(Array("a\nresume".utf8)))) }
    #expect(try mount.control == "")
  }
}
